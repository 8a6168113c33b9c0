"""Copy a node to another, each cluster once: in the background, or because it is about to change.

A background job and the filter that copies before writes share one :class:`BlockCopy`, so that no cluster
is copied twice, and none in two ways at the same time.
"""

import contextlib
from collections.abc import Callable

from qmpserver.block import chain
from qmpserver.block.copy import CHUNK, Buffers
from qmpserver.block.dirty_bitmap import DirtyBitmap
from qmpserver.block.node import Edge, Node
from qmpserver.block.range_copy import CopyFailedError, RangeCopier
from qmpserver.block.requests import TrackedRequests
from qmpserver.driver_api.status import BlockStatus
from qmpserver.errors import QMPError
from qmpserver.units import GiB, KiB, align_down, align_up, is_power_of_two

DEFAULT_CLUSTER_SIZE = 64 * KiB
"""Bytes copied at once at least."""

MAX_CLUSTER_SIZE = 2 * GiB
"""QEMU: it ends where more is asked for; the size of a cluster has 32 bits there."""


def choose_cluster_size(target: Node, least: int) -> int:
    """Return the unit to copy in: whole clusters of the target, so that it need not fill any up.

    Args:
        target: What is copied to.
        least: The least that the user wants; 0 leaves it to the target.

    Raises:
        QMPError: `least` is no possible size.
    """
    if least and not is_power_of_two(least):
        raise QMPError("min-cluster-size needs to be a power of 2")
    if least > MAX_CLUSTER_SIZE:
        raise QMPError(f"min-cluster-size too large: {least} > {MAX_CLUSTER_SIZE}")
    return max(least, DEFAULT_CLUSTER_SIZE, _cluster_size_of(target))


def _cluster_size_of(node: Node) -> int:
    """Return the cluster size of the image that a node is, or passes everything on to."""
    node = chain.skip_filters(node)
    size = node.driver.image_info().get("cluster-size")
    if size is None and node.mapping is None and "file" in node.children:
        return _cluster_size_of(node.children["file"].node)
    return int(size or 0)


class BlockCopy:
    """What is to be copied from one node to another, and the copying of it.

    Args:
        source: The link that data is read through.
        target: The link that it is written through.
        cluster_size: Bytes that are copied or not as a whole.

    Attributes:
        bitmap: The clusters that are still to be copied; at first all of them.
        size: Bytes of the source.
        is_compressed: Data is stored compressed.
        skips_unallocated: What the source itself does not hold is not copied, but left out.
        discards_source: What has been copied is discarded from the source.
        on_progress: Called with the bytes that have been copied, 0 when only the rest has become less.
    """

    def __init__(self, source: Edge, target: Edge, cluster_size: int) -> None:
        self.source = source
        self.target = target
        self.cluster_size = cluster_size
        self.size = source.size
        self.bitmap = DirtyBitmap(self.size, cluster_size)
        self.bitmap.set(0, self.size)
        self._buffers = Buffers()
        self.is_compressed = False
        self.skips_unallocated = False
        self.discards_source = False
        self.on_progress: Callable[[int], None] = lambda _length: None
        self._requests = TrackedRequests()

    def whole_clusters(self, offset: int, length: int) -> tuple[int, int]:
        """Return where the clusters of a range begin and end; the last ends with the source."""
        end = min(align_up(offset + length, self.cluster_size), self.size)
        return align_down(offset, self.cluster_size), end

    def next_area(self, offset: int, end: int, chunk: int = CHUNK) -> tuple[int, int] | None:
        """Return offset and length of the next run that is to be copied, whole clusters; None if there is none."""
        chunk = max(align_down(chunk, self.cluster_size), self.cluster_size)
        area = self.bitmap.next_dirty_area(offset, end, chunk) if offset < end else None
        return None if area is None else (area[0], min(area[1], end - area[0]))

    async def copy(self, offset: int, length: int) -> None:
        """Copy what is still to be copied of a range, and wait for what is on its way.

        Raises:
            CopyFailedError: Something could not be read or written; it is still to be copied.
        """
        start, end = self.whole_clusters(offset, length)
        if self.next_area(start, end) is None:
            return
        request = self._requests.begin_serialising(start, end)
        try:
            await self._requests.turn(request)
            while (area := self.next_area(start, end)) is not None:
                await self._copy_area(*area)
                start = sum(area)
        finally:
            self._requests.end(request)

    async def leave_out(self, offset: int, length: int) -> None:
        """Do not copy the clusters of a range, once what is on its way is there."""
        start, end = self.whole_clusters(offset, length)
        request = self._requests.begin_serialising(start, end)
        try:
            await self._requests.turn(request)
            self._note_done(start, end - start, copied=0)
        finally:
            self._requests.end(request)

    def _note_done(self, offset: int, length: int, *, copied: int) -> None:
        self.bitmap.reset(offset, length)
        self.on_progress(copied)

    # What the source holds

    async def allocated_run(self, offset: int) -> tuple[bool, int]:
        """Say whether the source itself, not what is below it, holds anything of a cluster.

        Returns:
            The answer, and the bytes from `offset`, whole clusters, that it holds for.
        """
        is_allocated, run = await chain.is_allocated(self.source.node, offset, self.size - offset)
        if is_allocated:
            return True, self._up_to_end(offset, align_up(run, self.cluster_size))
        if offset + run >= self.size:
            return False, self.size - offset
        if whole := align_down(run, self.cluster_size):
            return False, whole
        cluster = self._up_to_end(offset, self.cluster_size)
        at = offset + run
        while at < offset + cluster:
            is_allocated, run = await chain.is_allocated(self.source.node, at, offset + cluster - at)
            if is_allocated:
                return True, cluster
            at += run
        return False, cluster

    def _up_to_end(self, offset: int, length: int) -> int:
        return min(length, self.size - offset)

    async def leave_out_unallocated(self, offset: int) -> int:
        """Do not copy clusters at `offset` that the source does not hold; return how far it has looked.

        Raises:
            OSError: The source cannot tell.
        """
        is_allocated, run = await self.allocated_run(offset)
        if not is_allocated:
            await self.leave_out(offset, run)
        return run

    # Copying; the caller holds the range

    async def _copy_area(self, offset: int, length: int) -> None:
        end = offset + length
        while offset < end:
            run = min(end - offset, max(CHUNK, self.cluster_size))
            is_wanted = True
            if self.skips_unallocated:
                is_wanted, known = await self._wanted_run(offset)
                run = min(run, known)
            if is_wanted:
                await self._copy_whole(offset, run)
            # QEMU: the last cluster counts as a whole.
            self._note_done(offset, run, copied=align_up(run, self.cluster_size) if is_wanted else 0)
            offset += run

    async def _wanted_run(self, offset: int) -> tuple[bool, int]:
        try:
            return await self.allocated_run(offset)
        except OSError as error:
            raise CopyFailedError(error, "read") from error

    async def _copy_whole(self, offset: int, length: int) -> None:
        copier = RangeCopier(
            self.source,
            self.target,
            self._buffers,
            may_unmap=False,
            is_compressed=self.is_compressed,
        )
        at, end = offset, offset + length
        while at < end:
            is_zero, run = self._in_clusters(await copier.status(at, end - at), end - at)
            if is_zero:
                await copier.write_zeroes(at, run)
            else:
                run = min(run, CHUNK)
                await copier.copy_data(at, run)
            at += run
        if self.discards_source:
            with contextlib.suppress(OSError):
                await self.source.pdiscard(offset, length)

    def _in_clusters(self, status: BlockStatus, length: int) -> tuple[bool, int]:
        """Say whether a range begins with whole clusters known to be zero, and for how many bytes that holds."""
        if status.length >= length:
            return status.is_zero, length
        run = align_down(status.length, self.cluster_size)
        return (status.is_zero, run) if run else (False, min(length, self.cluster_size))
