"""Remember how jobs ended, for clients that were away when they did."""

import enum
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from qmpserver.jobs.job import Job

KEPT = 1000
"""Jobs remembered; those that ended first go first."""


class JobOutcome(enum.Enum):
    """What became of a job; the values are the wire's."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class JobRecord:
    """How one job ended.

    Attributes:
        job_id: Its name; later jobs may have had it too.
        job_type: What it did.
        outcome: What became of it.
        error: Why it has no result; None for a job that completed.
        created_us: When it was created, in microseconds since the epoch.
        ended_us: When it concluded, likewise.
        progress_current: What it had done: bytes, for a job that moves data.
        progress_total: What there was to do.
    """

    job_id: str
    job_type: str
    outcome: JobOutcome
    error: str | None
    created_us: int
    ended_us: int
    progress_current: int
    progress_total: int

    @classmethod
    def of(cls, job: Job, ended_us: int) -> Self:
        """Record a job that concludes now."""
        if job.is_cancelled:
            outcome = JobOutcome.CANCELLED
        elif job.error is not None:
            outcome = JobOutcome.FAILED
        else:
            outcome = JobOutcome.COMPLETED
        return cls(
            job.job_id,
            job.job_type,
            outcome,
            job.error,
            job.created_us,
            ended_us,
            job.progress_current,
            job.progress_total,
        )


class JobHistory:
    """How the latest jobs ended.

    Args:
        kept: How many are remembered.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._records: OrderedDict[int, JobRecord] = OrderedDict()
        self._latest: dict[str, int] = {}
        self._count = 0

    def __iter__(self) -> Iterator[JobRecord]:
        """Go through the records, those that ended first first."""
        return iter(tuple(self._records.values()))

    def add(self, record: JobRecord) -> None:
        """Remember how a job ended."""
        self._count += 1
        self._records[self._count] = record
        self._latest[record.job_id] = self._count
        if len(self._records) > self._kept:
            number, oldest = self._records.popitem(last=False)
            if self._latest.get(oldest.job_id) == number:
                del self._latest[oldest.job_id]

    def find(self, job_id: str) -> JobRecord | None:
        """Return how the last job of that name ended, or None when none is remembered."""
        number = self._latest.get(job_id)
        return None if number is None else self._records[number]
