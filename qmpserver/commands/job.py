"""Steer jobs of any kind."""

from typing import Any

from qmpserver.daemon import Daemon
from qmpserver.jobs.job import Job
from qmpserver.jobs.states import JobVerb


def query_jobs(daemon: Daemon) -> list[dict[str, Any]]:
    """Show every job."""
    return [_job_info(job) for job in daemon.jobs]


def _job_info(job: Job) -> dict[str, Any]:
    info: dict[str, Any] = {
        "id": job.job_id,
        "type": job.job_type,
        "status": job.status.value,
        "current-progress": job.progress_current,
        "total-progress": job.progress_total,
    }
    if job.error is not None:
        info["error"] = job.error
    return info


async def job_pause(daemon: Daemon, *, id: str) -> None:  # noqa: A002 - the wire's name
    """Pause a job."""
    job = daemon.jobs.find(id)
    job.user_pause()
    await job.react()


async def job_resume(daemon: Daemon, *, id: str) -> None:  # noqa: A002 - the wire's name
    """Let a paused job go on."""
    job = daemon.jobs.find(id)
    job.user_resume()
    await job.react()


async def job_cancel(daemon: Daemon, *, id: str) -> None:  # noqa: A002 - the wire's name
    """Call a job off."""
    await daemon.jobs.find(id).cancel()


async def job_complete(daemon: Daemon, *, id: str) -> None:  # noqa: A002 - the wire's name
    """Let a job that is ready end."""
    job = daemon.jobs.find(id)
    job.check_verb(JobVerb.COMPLETE)
    await job.complete()


async def job_finalize(daemon: Daemon, *, id: str) -> None:  # noqa: A002 - the wire's name
    """Make a pending job's result stand."""
    await daemon.jobs.finalize(daemon.jobs.find(id))


async def job_dismiss(daemon: Daemon, *, id: str) -> None:  # noqa: A002 - the wire's name
    """Forget a concluded job."""
    await daemon.jobs.dismiss(daemon.jobs.find(id))
