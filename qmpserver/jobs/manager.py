"""Hold all jobs by id, and take each from the end of its work to its own end."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from qmpserver.block.graph import is_well_formed
from qmpserver.clock import Clock
from qmpserver.errors import DeviceNotActive, QMPError, error_text
from qmpserver.events import EventBus
from qmpserver.jobs.history import JobHistory, JobRecord
from qmpserver.jobs.job import Job
from qmpserver.jobs.states import JobStatus, JobVerb
from qmpserver.jobs.transaction import JobTransaction
from qmpserver.log import get_logger

_log = get_logger("jobs")


class JobManager:
    """All jobs that have not been dismissed, and the tasks that run them.

    Args:
        events: Where jobs report.
        clock: What jobs rest by.

    Attributes:
        history: How jobs ended.
    """

    def __init__(self, events: EventBus, clock: Clock) -> None:
        self._events = events
        self.clock = clock
        self.history = JobHistory()
        self._jobs: dict[str, Job] = {}
        self._leaving: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[Job]:
        """Go through the jobs, newest first, as QEMU lists them."""
        return reversed(tuple(self._jobs.values()))

    def emit(self, name: str, data: dict[str, Any]) -> None:
        """Tell clients."""
        self._events.emit(name, data)

    def get(self, job_id: str) -> Job | None:
        """Return the job called `job_id`, or None."""
        return self._jobs.get(job_id)

    def find(self, job_id: str) -> Job:
        """Return the job called `job_id`.

        Raises:
            QMPError: There is none.
        """
        job = self._jobs.get(job_id)
        if job is None:
            raise QMPError("Job not found", code="not-found", job=job_id)
        return job

    def check_new_id(self, job_id: str) -> None:
        """Refuse an id that is malformed or taken.

        Raises:
            QMPError: With QEMU's text.
        """
        if not is_well_formed(job_id):
            raise QMPError(f"Invalid job ID '{job_id}'")
        if job_id in self._jobs or job_id in self._leaving:
            raise QMPError(f"Job ID '{job_id}' already in use", code="exists", job=job_id)

    def add(self, job: Job) -> None:
        """Take in a new job."""
        self._jobs[job.job_id] = job
        job.transaction.join(job)
        job.set_status(JobStatus.CREATED)

    def forget_created(self, job: Job) -> None:
        """Take out a job that could not be started."""
        job.transaction.leave(job)
        del self._jobs[job.job_id]
        job.set_status(JobStatus.NULL)

    def begin(self, job: Job) -> asyncio.Task[None]:
        """Let a created job run, from the next turn of the loop on."""
        job.set_status(JobStatus.RUNNING)
        task = asyncio.get_running_loop().create_task(job.live())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def start(self, job: Job) -> None:
        """Let a created job run; returns when it is at work, or over if it found nothing to do."""
        task = self.begin(job)
        await asyncio.sleep(0)
        if job.work_ended.is_set():
            # QEMU: a job that finds nothing to do is over before the command that started it answers.
            await asyncio.wait([task])

    async def launch(self, job: Job) -> None:
        """Take in a job that needs no setting up, and let it run.

        Raises:
            QMPError: Its id is malformed or taken.
        """
        self.check_new_id(job.job_id)
        self.add(job)
        await self.start(job)

    async def completed(self, job: Job) -> None:
        """Go on with a job whose work has ended: to its success, or to its transaction's end."""
        job.note_cancelled()
        if job.has_failed:
            await self.abort_transaction(job)
            return
        job.set_status(JobStatus.WAITING)
        members = job.transaction.jobs
        if any(member.status is not JobStatus.WAITING for member in members):
            return
        for member in list(members):
            member.set_status(JobStatus.PENDING)
            if not member.auto_finalize:
                member.emit_pending()
        if all(member.auto_finalize for member in members):
            await self._finalize(job.transaction)

    async def finalize(self, job: Job) -> None:
        """Make a pending job's result stand, with its whole transaction.

        Raises:
            QMPError: The job is not pending.
        """
        job.check_verb(JobVerb.FINALIZE)
        await self._finalize(job.transaction)

    async def _finalize(self, transaction: JobTransaction[Job]) -> None:
        transaction.is_finalizing = True
        for member in list(transaction.jobs):
            try:
                await member.prepare()
            except Exception as error:  # noqa: BLE001 - a job ends here, whatever its code did
                member.fail(error)
                await self.abort_transaction(member)
                return
        for member in list(transaction.jobs):
            await self._conclude(member)

    async def abort_transaction(self, job: Job) -> None:
        """End a job that failed or was cancelled, and call off the others of its transaction."""
        transaction = job.transaction
        if transaction.is_aborting:
            return
        transaction.is_aborting = True
        if not job.is_awaiting_end or job.error is not None:
            self._note_aborting(job)
        members = list(transaction.jobs)
        others = [member for member in members if member is not job]
        for member in others:
            member.mark_cancelled()
            member.wake()
        for member in others:
            if member.status is not JobStatus.CREATED:
                await member.work_ended.wait()
            if not member.is_awaiting_end:
                self._note_aborting(member)
        for member in members:
            await self._conclude(member)

    def _note_aborting(self, job: Job) -> None:
        job.note_cancelled()
        job.set_status(JobStatus.ABORTING)

    async def _conclude(self, job: Job) -> None:
        if job.has_failed:
            # QEMU: a job whose work was done when it was called off is told to abort when its turn comes.
            self._note_aborting(job)
            await self._carry_out(job, job.abort)
        await self._carry_out(job, job.clean)
        job.emit_finished()
        job.transaction.leave(job)
        self.history.add(JobRecord.of(job, self.clock.realtime_us()))
        job.set_status(JobStatus.CONCLUDED)
        job.ended.set()
        if job.auto_dismiss:
            await self._dismiss(job)

    async def dismiss(self, job: Job) -> None:
        """Forget a concluded job.

        Raises:
            QMPError: The job has not concluded.
        """
        job.check_verb(JobVerb.DISMISS)
        await self._dismiss(job)

    async def _dismiss(self, job: Job) -> None:
        del self._jobs[job.job_id]
        # Clients have not heard that it is gone: none of another job of that name may be told before.
        self._leaving.add(job.job_id)
        await self._carry_out(job, job.dismissed)
        self._leaving.discard(job.job_id)

    async def _carry_out(self, job: Job, step: Callable[[], Awaitable[None]]) -> None:
        """Take a step of a job's end, which comes and leaves the result as it is whatever the step meets."""
        try:
            await step()
        except OSError as error:
            _log.error("image not closed cleanly", job_id=job.job_id, error=error_text(error))
        except QMPError as error:
            _log.error("job not ended cleanly", job_id=job.job_id, error=error.description)
        except Exception as error:  # noqa: BLE001 - a job ends here, whatever its code did
            self.report_internal_error(job, error)

    async def cancel_all(self) -> None:
        """Cancel every job, also those that begin meanwhile, and wait until each has ended."""
        asked: set[Job] = set()
        while self._tasks or not asked.issuperset(self._jobs.values()):
            for job in [job for job in self._jobs.values() if job not in asked]:
                asked.add(job)
                # Some may have ended, or be about to, while others were called off.
                with contextlib.suppress(QMPError):
                    await job.cancel()
            if self._tasks and asked.issuperset(self._jobs.values()):
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for job in list(self._jobs.values()):
            await job.ended.wait()
            if self._jobs.get(job.job_id) is job:
                await self._dismiss(job)

    def report_internal_error(self, job: Job, error: Exception) -> None:
        """Log an error that no job should raise."""
        _log.error("job failed unexpectedly", job_id=job.job_id, job_type=job.job_type, exc_info=error)


def not_active(job_id: str) -> DeviceNotActive:
    """Make the refusal of a block job's id that no block job answers to."""
    return DeviceNotActive(f"Block job '{job_id}' not found", code="not-found", job=job_id)
