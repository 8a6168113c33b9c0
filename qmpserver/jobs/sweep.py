"""Go through a disk once from its beginning, moving some runs of it and skipping the rest: stream and commit."""

import asyncio
from typing import Any

from qmpserver.block.copy import CHUNK, CopyEngine
from qmpserver.block.graph import Graph
from qmpserver.jobs.block_job import BlockJob
from qmpserver.jobs.error_policy import ErrorAction
from qmpserver.jobs.job import JobOwner
from qmpserver.units import KiB, MiB

LIMITED_CHUNK = 512 * KiB
"""Bytes moved at once under a speed limit, so that progress is seen in QEMU's steps."""

LOOK_AHEAD = 8 * MiB
"""Bytes that the images' tables are asked about at once."""


class SweepJob(BlockJob):
    """A job that looks at every byte once.

    Args:
        manager: Holds the job.
        graph: The graph of the nodes.
        job_id: Its name.
        options: As for :class:`BlockJob`.

    Attributes:
        engine: Moves the chunks.
    """

    def __init__(self, manager: JobOwner, graph: Graph, job_id: str, **options: Any) -> None:
        super().__init__(manager, graph, job_id, **options)
        self.engine = CopyEngine(self.move, self._chunk_done)
        self._offset = 0
        self._first_error: OSError | None = None
        self._failed_at: int | None = None
        self._stopped_at: int | None = None
        self._run_end = 0
        self._run_is_wanted = False

    # What a subclass gives

    async def is_wanted(self, offset: int, length: int) -> tuple[bool, int]:
        """Say whether what begins at `offset` is to be moved, and for how many bytes, `length` at most, that holds.

        Raises:
            OSError: That cannot be found out.
        """
        raise NotImplementedError

    async def move(self, offset: int, length: int) -> None:
        """Move a range; several are on their way at the same time.

        Raises:
            OSError: It could not be moved; an attribute `operation` says whether that was a `write`.
        """
        raise NotImplementedError

    # The sweep

    @property
    def is_at_rest(self) -> bool:
        """Whether neither the job nor any chunk is at work."""
        return not self.is_busy and not self.engine.in_flight

    async def sweep(self, size: int) -> None:
        """Go through `size` bytes.

        Raises:
            OSError: The first error that was not to be tried again.
            JobCancelled: The job was cancelled.
        """
        self.progress_total = size
        try:
            while not self._is_done:
                await self.pause_point()
                if self._stopped_at is not None:
                    await self._go_back()
                await self._step()
                if self._offset >= self.progress_total:
                    await self.engine.settle()
        finally:
            await self.engine.settle()
        if self._failed_at is not None:
            self.progress_current = self._failed_at
        if self._first_error is not None:
            raise self._first_error

    @property
    def _is_done(self) -> bool:
        return self._offset >= self.progress_total and self._stopped_at is None

    async def _go_back(self) -> None:
        """Do again what an error stopped at, and what comes after it."""
        await self.engine.settle()
        assert self._stopped_at is not None
        self._offset = self.progress_current = self._stopped_at
        self._stopped_at = None
        self._run_end = 0

    async def _step(self) -> None:
        """Skip or submit the next piece of a run of one kind, and rest if the speed asks for it."""
        offset = self._offset
        chunk = LIMITED_CHUNK if self.limit.is_limited else CHUNK
        if offset >= self._run_end and not await self._look_ahead(offset, chunk):
            return
        length = self._run_end - offset
        if not self._run_is_wanted:
            self._offset += length
            self.progress_current += length
            # Tables in memory answer at once: without this a large empty disk would hold up everybody.
            await asyncio.sleep(0)
            return
        length = min(length, chunk)
        self._offset += length
        await self.engine.submit(offset, length)
        await self.keep_to_speed(length)

    async def _look_ahead(self, offset: int, chunk: int) -> bool:
        """Find out how far what begins at `offset` goes on alike, and whether it is to be moved.

        What others move in the meantime is found moved when its turn comes, and costs nothing.
        """
        length = min(self.progress_total - offset, LOOK_AHEAD)
        if not length:
            return False
        try:
            self._run_is_wanted, run = await self.is_wanted(offset, length)
        except OSError as error:
            length = min(length, chunk)
            self._offset += length
            self._chunk_done(offset, length, error)
            return False
        self._run_end = offset + run
        return True

    def _chunk_done(self, offset: int, length: int, error: OSError | None) -> None:
        if error is None:
            self.progress_current += length
        elif self._stopped_at is not None:
            # Chunks in flight beside the one that stopped the job are not news; they are done again too.
            self._stopped_at = min(offset, self._stopped_at)
        elif self._failed_at is None:
            self._on_first_error(offset, length, error)

    def _on_first_error(self, offset: int, length: int, error: OSError) -> None:
        action = self.handle_error(error, getattr(error, "operation", "read"))
        if action is ErrorAction.STOP:
            self._stopped_at = offset
            return
        self._first_error = self._first_error or error
        if action is ErrorAction.IGNORE:
            self.progress_current += length
        else:
            self._failed_at = offset
            self._offset = self.progress_total
            self.wake_from_rest()

    @property
    def is_failing(self) -> bool:
        """Whether an error has stopped the job, or is to end it."""
        return self._stopped_at is not None or self._failed_at is not None

    async def before_pause(self) -> None:
        """Let the chunks in flight end; what an error stopped at is as far as the job has come."""
        await self.engine.settle()
        if self._stopped_at is not None:
            self.progress_current = self._stopped_at
