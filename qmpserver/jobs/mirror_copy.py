"""Keep a target equal to a source that is being written: what is left to copy, and the copying of it.

Two ways lead to the target: the background copy of what a bitmap says is unequal, and, while writes are to
block, the writes themselves.  Both hold what they are at in `areas`, so that neither overtakes the other.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable
from typing import Final, Protocol

from qmpserver.block.backend import BlockBackend
from qmpserver.block.copy import Buffers, CopyEngine
from qmpserver.block.dirty_bitmap import DirtyBitmap
from qmpserver.block.range_copy import RangeCopier
from qmpserver.block.requests import TrackedRequests
from qmpserver.driver_api.interception import Change, Writable
from qmpserver.jobs.mirror_plan import CopyMode, MirrorPlan
from qmpserver.units import MiB, align_down, align_up

_PIECE: Final = 8 * MiB
"""Bytes of data that are copied as one: a disk full of data is few pieces for the host to copy by itself."""


class MirrorListener(Protocol):
    """Who is told how a mirror fares."""

    def copy_failed(self, error: OSError, operation: str) -> None:
        """Something is unequal because it could not be read, or not be written (`read`, `write`)."""

    def copy_progressed(self) -> None:
        """Something has become equal."""

    def source_changed(self) -> None:
        """Something has become unequal."""


class MirrorCopy:
    """The state of one mirror; carries out what comes through its filter.

    Args:
        plan: What is mirrored.
        target: The job's handle on the target, from when it copies.
        bitmap: Where both sides may be unequal.
        listener: Told how it fares.

    Attributes:
        bitmap: As given.
        copier: How ranges are copied.
        copy_mode: What becomes of writes; may change to blocking while they come.
        is_actively_synced: Both sides are equal, and writes keep them so.
        copied: Bytes that have been made equal so far.
        in_flight: Bytes that are about to be.
    """

    def __init__(
        self, plan: MirrorPlan, target: BlockBackend, bitmap: DirtyBitmap, listener: MirrorListener
    ) -> None:
        self.bitmap = bitmap
        self.copy_mode = plan.copy_mode
        self.is_actively_synced = False
        self.copied = 0
        self.in_flight = 0
        self.copier = RangeCopier(plan.source, plan.target, Buffers(), may_unmap=plan.may_unmap)
        self._size = plan.source.size
        self._granularity = bitmap.granularity
        self._target = target
        self._listener = listener
        self._areas = TrackedRequests()
        self._engine = CopyEngine(self._copy, self._copied)
        self._cursor = 0

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is being copied in the background."""
        return not self._engine.in_flight

    @property
    def is_equal(self) -> bool:
        """Whether nothing is left to copy, nor being copied."""
        return not self.bitmap.count and not self.in_flight

    @property
    def remaining(self) -> int:
        """Bytes that are not equal yet, as far as is known."""
        return self.bitmap.count + self.in_flight

    # In the background

    async def submit_next(self, most: int) -> int:
        """Begin to copy the next run that is unequal, `most` bytes at most; return the bytes of data in it.

        Raises:
            Exception: What no copy should have raised.
        """
        area = self._next_area(most)
        if area is None:
            return 0
        offset, length = area
        self.bitmap.reset(offset, length)
        self.in_flight += length
        self._cursor = end = offset + length
        data = 0
        while offset < end:
            status = await self.copier.status(offset, end - offset)
            piece = min(status.length if status.is_zero else _PIECE, end - offset)
            data += 0 if status.is_zero else piece
            await self._engine.submit(offset, piece)
            offset += piece
        return data

    def _next_area(self, most: int) -> tuple[int, int] | None:
        most = max(align_down(most, self._granularity), self._granularity)
        area = self.bitmap.next_dirty_area(self._cursor, self._size, most)
        return area or self.bitmap.next_dirty_area(0, self._size, most)

    async def settle(self) -> None:
        """Wait until nothing is being copied in the background."""
        await self._engine.settle()

    async def _copy(self, offset: int, length: int) -> None:
        async with self._held(offset, length):
            await self.copier.copy(offset, length)

    def _copied(self, offset: int, length: int, error: OSError | None) -> None:
        self.in_flight -= length
        if error is None:
            self.copied += length
            self._listener.copy_progressed()
            return
        self._note_unequal(offset, length)
        self._listener.copy_failed(error, getattr(error, "operation", "read"))

    @contextlib.asynccontextmanager
    async def _held(self, offset: int, length: int) -> AsyncIterator[None]:
        start, end = align_down(offset, self._granularity), align_up(offset + length, self._granularity)
        request = self._areas.begin_serialising(start, end)
        try:
            await self._areas.turn(request)
            yield
        finally:
            self._areas.end(request)

    def _note_unequal(self, offset: int, length: int) -> None:
        self.is_actively_synced = False
        self.bitmap.set(offset, length)

    # What comes through the filter

    async def carry_out(self, change: Change, below: Writable, offset: int, length: int) -> None:
        """Make a change to the source, and see to it that the target gets it.

        Raises:
            OSError: The source does not have it.  That the target does not is no error of the writer's.
        """
        if self.copy_mode is CopyMode.WRITE_BLOCKING:
            async with self._held(offset, length):
                await self._change_source(change, below, offset, length)
                await self._change_target(change, offset, length)
            return
        try:
            await change(below)
        finally:
            self._note_unequal(offset, length)
            self._listener.source_changed()

    async def discard(self, below: Writable, offset: int, length: int) -> None:
        """Discard a range of the source; the target is made to read as the source does then.

        Raises:
            OSError: It could not be discarded.
        """

        def change(node: Writable) -> Awaitable[None]:
            return node.pdiscard(offset, length)

        def copy(_target: Writable) -> Awaitable[None]:
            return self.copier.copy(offset, length)

        if self.copy_mode is CopyMode.WRITE_BLOCKING:
            async with self._held(offset, length):
                await self._change_source(change, below, offset, length)
                await self._change_target(copy, offset, length)
        else:
            await self.carry_out(change, below, offset, length)

    async def _change_source(self, change: Change, below: Writable, offset: int, length: int) -> None:
        try:
            await change(below)
        except BaseException:
            # Some of it may be there.
            self._note_unequal(offset, length)
            self._listener.source_changed()
            raise

    async def _change_target(self, change: Change, offset: int, length: int) -> None:
        self.in_flight += length
        try:
            if self.copier.target_zeroes is not None:
                self.copier.target_zeroes.note_data(offset, length)
            await change(self._target)
        except BaseException as error:
            self._note_unequal(offset, length)
            self._listener.source_changed()
            if not isinstance(error, OSError):
                raise
            self._listener.copy_failed(error, getattr(error, "operation", "write"))
        else:
            self.copied += length
            self.bitmap.reset(offset, length)
        finally:
            self.in_flight -= length
            self._listener.copy_progressed()
