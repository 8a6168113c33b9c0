"""Lead a long operation through its life, whatever it does.

A job is created, runs, may be paused, ends its work, waits for the other members of its transaction,
is finalized, concludes, and is dismissed.  A subclass gives the work (:meth:`Job.run`) and what
success or failure means for the graph (:meth:`Job.prepare`, :meth:`Job.abort`, :meth:`Job.clean`).
"""

import asyncio
import contextlib
import errno
import os
from typing import Any, ClassVar, Protocol

from qmpserver.clock import Clock
from qmpserver.errors import QMPError, error_text
from qmpserver.jobs.states import JobStatus, JobVerb, check_transition, check_verb, verb_refused
from qmpserver.jobs.transaction import JobTransaction

CANCEL_PATIENCE_S = 1.0
"""Seconds a client that cancels waits for the end of a job at rest; the job ends in any case."""


class JobCancelled(Exception):
    """End a job's work because it was cancelled."""


class JobOwner(Protocol):
    """Whoever holds a job, as the job sees it."""

    @property
    def clock(self) -> Clock:
        """What jobs rest by."""

    def check_new_id(self, job_id: str) -> None:
        """Refuse an id that is malformed or taken."""

    def add(self, job: "Job") -> None:
        """Take in a new job."""

    def get(self, job_id: str) -> "Job | None":
        """Return the job called `job_id`, or None."""

    def forget_created(self, job: "Job") -> None:
        """Take out a job that could not be started."""

    def emit(self, name: str, data: dict[str, Any]) -> None:
        """Tell clients."""

    async def completed(self, job: "Job") -> None:
        """Go on with a job whose work has ended."""

    async def abort_transaction(self, job: "Job") -> None:
        """End a job that failed or was cancelled, and the others of its transaction."""

    def report_internal_error(self, job: "Job", error: Exception) -> None:
        """Record an error that no job should raise."""


class Job:
    """A long operation.

    Args:
        manager: Holds the job until it is dismissed.
        job_id: Its name; the manager has checked it.
        auto_finalize: Finalize without being asked.
        auto_dismiss: Dismiss without being asked.
        transaction: Shared with other jobs, or None to be alone.

    Attributes:
        status: Where it is in its life.
        error: Why it failed, once it has; None so far or on success.
        is_user_paused: A client paused it (or its error policy did), and only a client resumes it.
        is_busy: It is at work, neither paused nor resting.
        progress_current: Units of work done.
        progress_total: Units of work in all, as far as is known.
        work_ended: Set when :meth:`run` is over; what remains is the job's end.
        ended: Set when the job has concluded.
        created_us: When it was created, in microseconds since the epoch.
    """

    job_type: ClassVar[str]

    def __init__(
        self,
        manager: JobOwner,
        job_id: str,
        *,
        auto_finalize: bool = True,
        auto_dismiss: bool = True,
        transaction: JobTransaction["Job"] | None = None,
    ) -> None:
        self.manager = manager
        self.job_id = job_id
        self.auto_finalize = auto_finalize
        self.auto_dismiss = auto_dismiss
        self.transaction: JobTransaction[Job] = transaction or JobTransaction()
        self.created_us = manager.clock.realtime_us()
        self.status = JobStatus.UNDEFINED
        self.error: str | None = None
        self.is_user_paused = False
        self.is_busy = False
        self.progress_current = 0
        self.progress_total = 0
        self._pause_count = 0
        self._is_paused = False
        self._cancelled = False
        self._wake: asyncio.Future[None] | None = None
        self._wake_is_timer = False
        self.work_ended = asyncio.Event()
        self.ended = asyncio.Event()

    # What a subclass gives

    async def run(self) -> None:
        """Do the work.  Call :meth:`pause_point` or :meth:`sleep` often.

        Raises:
            OSError: The work failed.
            JobCancelled: From a pause point, when the job was cancelled.
        """
        raise NotImplementedError

    async def prepare(self) -> None:
        """Make the result stand; the last step that may fail.

        Raises:
            OSError: It cannot; the job fails.
            QMPError: It cannot; the job fails with that text.
        """

    async def abort(self) -> None:
        """Undo what must not remain of a job that failed or was cancelled."""

    async def clean(self) -> None:
        """Let go of what the work needed, whatever became of it."""

    async def dismissed(self) -> None:
        """Let go of everything; the job has left the state CONCLUDED, or was never started.

        Sets the state NULL first, so that clients hear of it when nothing can come in between.
        """
        self.set_status(JobStatus.NULL)

    def on_user_resume(self) -> None:
        """Do what a client's resume means beyond going on."""

    def emit_finished(self) -> None:
        """Tell clients how the job ended."""

    def emit_ready(self) -> None:
        """Tell clients that the job can be completed."""

    def emit_pending(self) -> None:
        """Tell clients that the job waits to be finalized."""

    # State

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing of the job is in flight."""
        return not self.is_busy

    @property
    def is_cancelled(self) -> bool:
        """Whether the job was cancelled and is to end without its result."""
        return self._cancelled

    @property
    def is_ready(self) -> bool:
        """Whether the job has reached READY, and is not paused there."""
        return self.status in (JobStatus.READY, JobStatus.STANDBY)

    @property
    def is_awaiting_end(self) -> bool:
        """Whether the work went well and only waits for others, or for a client, to let it stand."""
        return self.status in (JobStatus.WAITING, JobStatus.PENDING)

    @property
    def is_paused(self) -> bool:
        """Whether somebody wants it paused."""
        return self._pause_count > 0

    def set_status(self, status: JobStatus) -> None:
        """Go to another state, and tell clients."""
        check_transition(self.status, status)
        changed = status is not self.status
        self.status = status
        if changed:
            self.manager.emit("JOB_STATUS_CHANGE", {"id": self.job_id, "status": status.value})

    def check_verb(self, verb: JobVerb) -> None:
        """Refuse a verb that the present state does not accept.

        Raises:
            QMPError: With QEMU's text.
        """
        check_verb(self.job_id, self.status, verb)
        if self.is_awaiting_end and self.transaction.is_ending:
            # QEMU: it looks at no other command before the job has concluded.
            raise verb_refused(self.job_id, self.status, verb)

    # Verbs

    def user_pause(self) -> None:
        """Pause at the next pause point, until a client resumes."""
        self.check_verb(JobVerb.PAUSE)
        if self.is_user_paused:
            raise QMPError("Job is already paused")
        self.is_user_paused = True
        self.pause()

    def user_resume(self) -> None:
        """Take back a client's pause.

        Raises:
            QMPError: No client paused the job.
        """
        if not self.is_user_paused or not self._pause_count:
            raise QMPError("Can't resume a job that was not paused")
        self.check_verb(JobVerb.RESUME)
        self.on_user_resume()
        self.is_user_paused = False
        self.resume()

    def pause(self) -> None:
        """Want the job paused; each call is taken back by one :meth:`resume`."""
        self._pause_count += 1
        if not self._is_paused:
            self.wake()

    def resume(self) -> None:
        """Take back one :meth:`pause`."""
        self._pause_count -= 1
        if not self._pause_count:
            self.wake()

    def wake(self) -> None:
        """End the job's rest or pause at once, so that it looks at what has changed."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def wake_from_rest(self) -> None:
        """End a rest at once, but not a pause."""
        if self._wake_is_timer:
            self.wake()

    async def cancel(self, *, force: bool = True) -> None:
        """Call the job off; wake it if it rests.

        A job at rest has ended when this returns, unless its images take longer than
        :data:`CANCEL_PATIENCE_S` to let go; one in the middle of I/O ends when that I/O does.

        Args:
            force: Without it, a job that goes on until it is told to end may end well instead.

        Raises:
            QMPError: The job is over, or about to be.
        """
        self.check_verb(JobVerb.CANCEL)
        self.mark_cancelled()
        if self.status is JobStatus.CREATED:
            await self.manager.completed(self)
        elif self.work_ended.is_set():
            await self.manager.abort_transaction(self)
        else:
            was_resting = self.is_at_rest
            self.wake()
            if was_resting:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.ended.wait(), CANCEL_PATIENCE_S)

    def mark_cancelled(self) -> None:
        """Count the job as cancelled, and a client's pause as taken back."""
        self._cancelled = True
        if self.is_user_paused:
            self.on_user_resume()
            self.is_user_paused = False
            self._pause_count -= 1

    async def react(self) -> None:
        """Let a job that has just been woken come to its next rest or piece of work."""
        if self._wake is not None and self._wake.done():
            # The job's task goes on in this turn of the loop, up to whatever it waits for next.
            await asyncio.sleep(0)

    async def complete(self) -> None:
        """End a job that goes on until it is told to; no job without a READY state can be asked."""
        raise QMPError(f"The active block job '{self.job_id}' cannot be completed")

    # Called by run()

    async def pause_point(self) -> None:
        """Stop here for as long as the job is paused.

        Raises:
            JobCancelled: The job was cancelled.
        """
        self._raise_if_cancelled()
        if not self._pause_count:
            return
        await self.before_pause()
        ready = self.status is JobStatus.READY
        self.set_status(JobStatus.STANDBY if ready else JobStatus.PAUSED)
        self._is_paused = True
        while self._pause_count and not self._cancelled:
            await self._wait(None)
        self._is_paused = False
        self.set_status(JobStatus.READY if ready else JobStatus.RUNNING)
        self._raise_if_cancelled()

    async def before_pause(self) -> None:
        """Bring work in flight to an end before the job counts as paused."""

    async def sleep(self, delay_ns: int) -> None:
        """Rest for `delay_ns`; a pause, a cancel or :meth:`wake_from_rest` ends the rest at once.

        Raises:
            JobCancelled: The job was cancelled.
        """
        self._raise_if_cancelled()
        if not self._pause_count:
            await self._wait(delay_ns)
        await self.pause_point()

    async def rest(self) -> None:
        """Rest until :meth:`wake`; a pause or a cancel ends the rest as well.

        Raises:
            JobCancelled: The job was cancelled.
        """
        self._raise_if_cancelled()
        if not self._pause_count:
            await self._wait(None)
        await self.pause_point()

    def become_ready(self) -> None:
        """Go on until :meth:`complete`; the result could stand from now on."""
        self.set_status(JobStatus.READY)
        self.emit_ready()

    async def _wait(self, delay_ns: int | None) -> None:
        self._wake = wake = asyncio.get_running_loop().create_future()
        self._wake_is_timer = delay_ns is not None
        timer = None
        if delay_ns is not None:
            timer = self.manager.clock.call_later(delay_ns, self.wake)
        self.is_busy = False
        try:
            await wake
        finally:
            self.is_busy = True
            self._wake = None
            self._wake_is_timer = False
            if timer is not None:
                timer.cancel()

    def _raise_if_cancelled(self) -> None:
        if self._cancelled:
            raise JobCancelled

    # The way through life

    async def live(self) -> None:
        """Do the work and end.  The manager runs this once, as the job's task."""
        self.is_busy = True
        try:
            await self.run()
        except JobCancelled:
            pass
        except Exception as error:  # noqa: BLE001 - a job ends here, whatever its code did
            self.fail(error)
        self.is_busy = False
        self.work_ended.set()
        await self.manager.completed(self)

    def fail(self, error: Exception) -> None:
        """Remember the first error as the job's result."""
        match error:
            case OSError():
                text = error_text(error)
            case QMPError():
                text = error.description
            case _:
                self.manager.report_internal_error(self, error)
                text = os.strerror(errno.EIO)
        self.error = self.error or text

    @property
    def has_failed(self) -> bool:
        """Whether the job will not keep its result."""
        return self._cancelled or self.error is not None

    def note_cancelled(self) -> None:
        """Give a cancelled job the error text clients know."""
        if self._cancelled and self.error is None:
            self.error = os.strerror(errno.ECANCELED)
