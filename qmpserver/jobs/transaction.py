"""Let several jobs end together: all of them succeed, or all are called off."""

from typing import Generic, TypeVar

M = TypeVar("M")


class JobTransaction(Generic[M]):
    """The jobs that share one fate.  A job that is given none is alone in one of its own.

    Attributes:
        jobs: The members that have not concluded, newest first, as QEMU goes through them.
        is_aborting: A member failed or was cancelled, and the others are being called off.
        is_finalizing: The results are being made to stand; it is too late to cancel.
    """

    def __init__(self) -> None:
        self.jobs: list[M] = []
        self.is_aborting = False
        self.is_finalizing = False

    @property
    def is_ending(self) -> bool:
        """Whether the members are being concluded, one way or the other."""
        return self.is_aborting or self.is_finalizing

    def join(self, job: M) -> None:
        """Add a member."""
        self.jobs.insert(0, job)

    def leave(self, job: M) -> None:
        """Take out a member that has concluded."""
        if job in self.jobs:
            self.jobs.remove(job)
