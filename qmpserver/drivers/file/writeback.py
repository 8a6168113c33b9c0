"""Have the disk start when a stream of writes has put much into the page cache.

Left alone, the kernel waits until a large part of memory is dirty, and the flush at the end of a job
then takes as long as the job.
"""

import asyncio

from qmpserver import tasks, threads
from qmpserver.drivers.file.handle import Handle
from qmpserver.drivers.file.space import start_writeback
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


class Writeback:
    """Has the kernel begin with ranges of one file, in a thread, and nobody wait for it.

    What falls due while it is at work is joined: a disk that is slower than the writes gets fewer and larger ranges.
    """

    def __init__(self) -> None:
        self._work: asyncio.Future[None] | None = None
        self._due: tuple[int, int] | None = None

    def begin(self, handle: Handle, offset: int, length: int) -> None:
        """Begin with a range, now or as soon as the one before has been begun with."""
        if tasks.is_without_loop():
            # It would be waited for, and whoever has no loop is soon at an end.
            return
        if self._work is not None:
            start, end = self._due or (offset, offset)
            self._due = min(start, offset), max(end, offset + length)
            return

        def go_on(_work: "asyncio.Future[None]") -> None:
            handle.end()
            self._work = None
            due, self._due = self._due, None
            if due is not None and handle.fd >= 0:
                self.begin(handle, due[0], due[1] - due[0])

        self._work = threads.submit(start_writeback, handle.begin(), offset, length)
        self._work.add_done_callback(go_on)

    async def settle(self) -> None:
        """Begin with nothing more, and wait until nothing is at work."""
        self._due = None
        if self._work is not None:
            await self._work
