"""Be a job whose work is one step: it knows no progress, cannot pause, and waits to be dismissed."""

from qmpserver.errors import QMPError, error_text
from qmpserver.jobs.job import Job, JobOwner


class OneStepJob(Job):
    """A job of one step; a subclass gives the step.

    Args:
        manager: Holds the job.
        job_id: Its name.
    """

    def __init__(self, manager: JobOwner, job_id: str) -> None:
        super().__init__(manager, job_id, auto_dismiss=False)

    async def step(self) -> None:
        """Do the work.

        Raises:
            OSError: It failed; where QEMU words the reason, `strerror` is its text.
            QMPError: It failed, with that text.
        """
        raise NotImplementedError

    async def run(self) -> None:
        """Take the step."""
        self.progress_total = 1
        try:
            await self.step()
        except OSError as error:
            raise QMPError(error.strerror or error_text(error)) from error
        finally:
            # QEMU: the step counts as taken even if it failed.
            self.progress_current = 1
