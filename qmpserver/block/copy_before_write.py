"""Keep a node's content as it is now: copy what is about to change, and read the past back."""

import asyncio
import errno
import os
from collections.abc import Callable
from typing import Any

from qmpserver.block import chain
from qmpserver.block.block_copy import BlockCopy, choose_cluster_size
from qmpserver.block.dirty_bitmap import DirtyBitmap
from qmpserver.block.node import Edge, Node
from qmpserver.block.requests import TrackedRequests
from qmpserver.clock import Clock
from qmpserver.driver_api.point_in_time import PointInTimeOptions, SupportsPointInTime
from qmpserver.driver_api.status import BlockStatus
from qmpserver.errors import QMPError
from qmpserver.tasks import spawn
from qmpserver.units import align_down, align_up


class KeptPointInTime:
    """The content of a filtered node as it was, of which the target holds what has changed since.

    Three bitmaps say where each cluster is read: not at all (`accessible` is clear), from the target
    (`done` is set), or from where it always was, and then a write waits until it has been read.

    Args:
        copy: What copies from the filtered node to the target.
        options: How it is to be kept.
        clock: What the timeout is told by.

    Attributes:
        accessible: The clusters that were to be kept and still are.
        done: Those which the target supplies.
        error: Why the point in time is lost, or None.
        on_lost: Called when it is lost.
    """

    def __init__(self, copy: BlockCopy, options: PointInTimeOptions, clock: Clock) -> None:
        self.copy = copy
        self.done = _quiet_bitmap(copy)
        self.accessible = _quiet_bitmap(copy)
        self.accessible.merge(copy.bitmap)
        self.breaks_writes = options.breaks_writes
        self.error: OSError | None = None
        self.on_lost: Callable[[], None] = lambda: None
        self._timeout_ns = options.timeout_ns
        self._clock = clock
        self._reads = TrackedRequests()
        self._late: set[asyncio.Task[Any]] = set()

    @property
    def is_used(self) -> bool:
        """Whether the filter has users, so that nobody else may change what it filters."""
        filter_node = self.copy.source.parent
        return isinstance(filter_node, Node) and bool(filter_node.parents)

    @property
    def discards_source(self) -> bool:
        """Whether what has been copied is discarded from the filtered node."""
        return self.copy.discards_source

    @property
    def bitmaps(self) -> tuple[DirtyBitmap, ...]:
        """The bitmaps that a client sees on the filter, newest last."""
        return self.copy.bitmap, self.done, self.accessible

    async def close(self) -> None:
        """Wait for what is still being copied."""
        while self._late:
            await asyncio.wait(self._late)

    # What is about to change

    async def before_write(self, offset: int, length: int) -> None:
        """Copy what is about to be replaced, and wait for those who read it.

        Raises:
            OSError: It could not be copied in time, and the write is not to be carried out.
        """
        start, end = self.copy.whole_clusters(offset, length)
        if start >= end:
            return
        if self.error is None:
            await self._keep(start, end - start)
        if len(self._reads):
            await self._wait_for_reads(start, end)

    async def _keep(self, start: int, length: int) -> None:
        try:
            await self._copy_in_time(start, length)
        except OSError as error:
            if self.breaks_writes:
                raise
            if self.error is None:
                self.error = error
                self.on_lost()
        else:
            self.done.set(start, length)

    async def _wait_for_reads(self, start: int, end: int) -> None:
        request = self._reads.begin_serialising(start, end)
        try:
            await self._reads.turn(request)
        finally:
            self._reads.end(request)

    async def _copy_in_time(self, start: int, length: int) -> None:
        if not self._timeout_ns:
            await self.copy.copy(start, length)
            return
        task = spawn(self._late, self.copy.copy(start, length))
        # Nobody may be left to hear how it ended.
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        too_late = asyncio.Event()
        timer = self._clock.call_later(self._timeout_ns, too_late.set)
        task.add_done_callback(lambda _task: too_late.set())
        try:
            await too_late.wait()
        finally:
            timer.cancel()
        if not task.done():
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        task.result()

    # The past

    async def pread(self, offset: int, into: memoryview) -> None:
        """Fill `into` with what was at `offset`.

        Raises:
            OSError: EACCES where it is not kept; what reading meets.
        """
        while into:
            place, run = self._place(offset, len(into))
            part = into[:run]
            read = self._reads.begin(offset, offset + run) if place is self.copy.source else None
            try:
                await place.pread(offset, part)
            finally:
                if read is not None:
                    self._reads.end(read)
            offset += run
            into = into[run:]

    async def block_status(self, offset: int, length: int) -> BlockStatus:
        """Say what is known of what was there, all of it being counted as allocated.

        Raises:
            OSError: EACCES where it is not kept; what asking meets.
        """
        place, run = self._place(offset, length)
        status = await chain.status_above(place.node, offset, run)
        return status._replace(is_allocated=True, host_offset=None)

    def _place(self, offset: int, length: int) -> tuple[Edge, int]:
        """Say where a range is read, and for how many bytes that holds."""
        end = offset + length
        if self.error is not None or self.accessible.next_clean(offset, end) is not None:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        if self.done.is_dirty(offset):
            stop = self.done.next_clean(offset, end)
            return self.copy.target, (end if stop is None else stop) - offset
        area = self.done.next_dirty_area(offset, end, length)
        return self.copy.source, (end if area is None else area[0]) - offset

    async def pdiscard(self, offset: int, length: int) -> None:
        """Let go of whole clusters: they are neither copied nor read any more."""
        cluster = self.copy.cluster_size
        start, end = align_up(offset, cluster), align_down(offset + length, cluster)
        if offset + length >= self.copy.size:
            end = self.copy.size
        if start >= end:
            return
        self.accessible.reset(start, end - start)
        await self.copy.leave_out(start, end - start)
        await self.copy.target.pdiscard(start, end - start)


def _quiet_bitmap(copy: BlockCopy) -> DirtyBitmap:
    """Make an empty bitmap that does not record writes."""
    bitmap = DirtyBitmap(copy.size, copy.cluster_size)
    bitmap.is_enabled = False
    return bitmap


def keep(
    source: Edge, target: Edge, options: PointInTimeOptions, bitmap: DirtyBitmap | None, clock: Clock
) -> KeptPointInTime:
    """Begin to keep what `source` leads to.

    Args:
        source: The link of a filter to what it filters.
        target: Its link to where to copy what changes.
        options: How to keep it.
        bitmap: What to keep, or None for everything.
        clock: What the timeout is told by.

    Raises:
        QMPError: No such clusters can be had, or the bitmap does not fit.
    """
    try:
        copy = BlockCopy(source, target, choose_cluster_size(target.node, options.min_cluster_size))
        copy.bitmap.is_enabled = False
        if bitmap is not None:
            copy.bitmap.clear()
            _merge(copy.bitmap, bitmap)
    except QMPError as error:
        raise QMPError(f"Cannot create block-copy-state: {error.description}") from error
    return KeptPointInTime(copy, options, clock)


def _merge(into: DirtyBitmap, bitmap: DirtyBitmap) -> None:
    if into.size != bitmap.size:
        raise QMPError(
            f"Failed to merge bitmap '{bitmap.name}' to internal copy-bitmap: Bitmaps are of different sizes "
            f"(destination size is {into.size}, source size is {bitmap.size}) and can't be merged"
        )
    into.merge(bitmap)


def point_in_time_of(filter_node: Node) -> KeptPointInTime:
    """Return what a filter keeps whose driver asked for it at the engine."""
    assert isinstance(filter_node.driver, SupportsPointInTime)
    kept = filter_node.driver.point_in_time
    assert isinstance(kept, KeptPointInTime)
    return kept
