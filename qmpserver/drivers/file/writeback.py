"""Decide when a stream of writes has put so much into the page cache that the disk should start.

Left alone, the kernel waits until a large part of memory is dirty, and the flush at the end of a job
then takes as long as the job.
"""

from qmpserver.units import MiB

CHUNK = 8 * MiB
"""Dirty bytes that are worth a disk request of their own."""


class WritebackHint:
    """Watches writes, several of which may be in flight, and names dense ranges to write back."""

    def __init__(self) -> None:
        self._start = self._end = self._written = 0

    def note(self, offset: int, length: int) -> tuple[int, int] | None:
        """Record a write that has ended; return a range (offset, length) that should be written back.

        Writes that jump about are left to the kernel, which may see them overwritten.
        """
        end = offset + length
        if not self._written or offset > self._end + CHUNK or end + CHUNK < self._start:
            self._start, self._end, self._written = offset, end, length
            return None
        self._start = min(self._start, offset)
        self._end = max(self._end, end)
        self._written += length
        if self._written < CHUNK:
            return None
        span = self._end - self._start
        is_dense = span <= 2 * self._written
        ready = (self._start, span) if is_dense else None
        self._written = 0
        return ready
