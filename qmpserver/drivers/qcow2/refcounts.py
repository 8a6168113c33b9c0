"""Allocate and free host clusters.

A count in memory is raised when a cluster is allocated and lowered only when nothing on disk refers to
it any more; so a block may be written at any time, and a crash can only leave counts too high.
Blocks that the table on disk does not name yet, and a table that has outgrown its place, are kept apart
until :mod:`commit` has brought them there in order.

Source: qcow2 specification, "Host cluster management".
"""

import contextlib
import errno
import os
from array import array
from collections.abc import Iterable

from qmpserver.drivers.qcow2 import kinds
from qmpserver.drivers.qcow2.entries import ENTRY_SIZE, REFBLOCK_MASK
from qmpserver.drivers.qcow2.header import MAX_REFTABLE_BYTES
from qmpserver.drivers.qcow2.image import Image, c_hex
from qmpserver.drivers.qcow2.metadata import MetadataMap
from qmpserver.drivers.qcow2.widths import RefcountWidth
from qmpserver.errors import QMPError
from qmpserver.lock import Lock
from qmpserver.units import MiB, align_up

CACHE_BYTES = 4 * MiB
"""Bytes of refcount blocks kept in memory; never fewer than four blocks."""


class RefcountBlock:
    """One cached block, as on disk.

    Attributes:
        offset: Host offset where it lives.
        data: Its counts, see :class:`RefcountWidth`.
        is_dirty: It differs from what is on disk.
    """

    __slots__ = ("data", "is_dirty", "offset")

    def __init__(self, offset: int, data: bytearray, *, is_dirty: bool) -> None:
        self.offset = offset
        self.data = data
        self.is_dirty = is_dirty


class Refcounts:
    """The reference counts of one image.

    Args:
        image: The image.
        metadata: Where its structures are; kept up to date here for refcount structures.
    """

    def __init__(self, image: Image, metadata: MetadataMap) -> None:
        self._image = image
        self._metadata = metadata
        self.width = RefcountWidth(image.header.refcount_order)
        self.per_block = image.cluster_size * 8 // self.width.bits
        self.table = array("Q")
        """The table on disk, in host byte order."""
        self.new_blocks: dict[int, int] = {}
        """Blocks that the table on disk does not name yet: table index to host offset."""
        self.planned_table: tuple[int, int] | None = None
        """Host offset and clusters of the place that the table is to move to."""
        self.next_free = 0
        self._used_to = 0
        """Host offset that no cluster in use ever reached beyond, since the image was opened."""
        self._added_to = 0
        """Host offset up to which clusters were taken at once, which may not be filled; 0 when none were."""
        self._packed_to = 0
        """Host offset where the compressed data packed last ends; 0 when there is none."""
        self.lock = Lock()
        self._blocks: dict[int, RefcountBlock] = {}

    @property
    def _most_blocks(self) -> int:
        """Blocks kept in memory at most."""
        return self._image.runtime.refcount_blocks or max(4, CACHE_BYTES // self._image.cluster_size)

    async def load(self) -> None:
        """Read the table."""
        header = self._image.header
        self.width = RefcountWidth(header.refcount_order)
        self.per_block = header.cluster_size * 8 // self.width.bits
        self._blocks.clear()
        self.next_free = self._packed_to = 0
        self._used_to = max(self._used_to, align_up(self._image.child.size, header.cluster_size))
        await self._image.event("reftable_load")
        self.table = array("Q")
        self.table.frombytes(
            await self._image.read(header.reftable_offset, header.reftable_clusters * header.cluster_size)
        )
        self.table.byteswap()

    @property
    def is_dirty(self) -> bool:
        """Whether anything here differs from what is on disk."""
        return bool(self.new_blocks) or any(block.is_dirty for block in self._blocks.values())

    async def allocate(self, count: int, *, whole: bool = False) -> tuple[int, int]:
        """Take free host clusters that lie side by side.

        Args:
            count: Clusters wanted.
            whole: Fewer are of no use.

        Returns:
            The host offset, and the clusters taken: `count`, or fewer unless `whole`.

        Raises:
            OSError: There is no room that the format can count; nothing is taken.
        """
        await self._image.event("cluster_alloc")
        async with self.lock:
            return await self._allocate(count, whole=whole)

    async def _allocate(self, count: int, *, whole: bool) -> tuple[int, int]:
        self._image.check_sound()
        wanted_from = self._room_from()
        first, found = await (
            self._find_whole(wanted_from, count) if whole else self._find(wanted_from, count)
        )
        offset, length = first << self._image.cluster_bits, found << self._image.cluster_bits
        await self._metadata.guard(offset, length)
        for index, start, part in self._split(first, found):
            block = await self._block(index)
            assert block is not None
            self.width.put_ones(block.data, start, part)
            block.is_dirty = True
        if self.next_free == (first if whole else wanted_from):
            self.next_free = first + found
        self._used_to = max(self._used_to, offset + length)
        return offset, found

    def unused_at_once(self) -> int | None:
        """Return the host offset of a free cluster where nothing was ever stored, if one is known without waiting."""
        if self.lock.locked():
            return None
        index, start = divmod(self.next_free, self.per_block)
        block = self._blocks.get(index)
        found = self.width.find_free(block.data, start, 1) if block is not None else None
        if found is None:
            return None
        image = self._image
        offset = index * self.per_block + found[0] << image.cluster_bits
        # The file may have been replaced by one that is longer.
        if offset < max(self._used_to, image.child.size):
            return None
        if self._metadata.overlap(offset, image.cluster_size) is not None:
            return None
        return offset

    def take_at_once(self, offset: int) -> None:
        """Take the cluster that :meth:`unused_at_once` has just returned."""
        cluster = offset >> self._image.cluster_bits
        index, entry = divmod(cluster, self.per_block)
        block = self._blocks[index]
        self.width.put_ones(block.data, entry, 1)
        block.is_dirty = True
        self.next_free = cluster + 1
        self._used_to = self._added_to = offset + self._image.cluster_size

    async def allocate_bytes(self, length: int) -> int:
        """Take room for compressed data, which may share a cluster with what was packed before it.

        Each cluster touched gets one reference more.

        Args:
            length: Bytes, at most a cluster.

        Returns:
            The host offset in bytes.

        Raises:
            OSError: There is no room that the format can count; nothing is taken.
        """
        await self._image.event("cluster_alloc_bytes")
        async with self.lock:
            size, bits = self._image.cluster_size, self._image.cluster_bits
            offset = self._packed_to
            room = -offset % size
            if room and await self._count(offset >> bits) == self.width.maximum:
                room = 0
            if room < length:
                following, _ = await self._allocate(1, whole=False)
                if not room or following != offset + room:
                    offset, room = following, 0
            if room:
                await self._raise(offset >> bits)
            self._packed_to = offset + length
            return offset

    async def _raise(self, cluster: int) -> None:
        index, start = divmod(cluster, self.per_block)
        block = await self._block(index)
        assert block is not None
        self.width.put(block.data, start, self.width.get(block.data, start) + 1)
        block.is_dirty = True

    def _split(self, first: int, count: int) -> Iterable[tuple[int, int, int]]:
        """Split a run of clusters by block: table index, first entry, entries."""
        while count:
            index, start = divmod(first, self.per_block)
            part = min(count, self.per_block - start)
            yield index, start, part
            first += part
            count -= part

    async def _find(self, cluster: int, want: int) -> tuple[int, int]:
        """Find the first free run at or after `cluster`, inside one block."""
        while True:
            index, start = divmod(cluster, self.per_block)
            block = await self._block(index) or await self._add_block(index)
            found = self.width.find_free(block.data, start, want)
            if found is not None:
                return index * self.per_block + found[0], found[1]
            cluster = (index + 1) * self.per_block

    def _room_from(self) -> int:
        """Return the first cluster that may be used: any that is free, unless somebody may still be reading there."""
        unused = self._used_to >> self._image.cluster_bits
        if self.next_free >= unused or self._image.lending.may_use_again():
            return self.next_free
        return unused

    async def _find_whole(self, wanted_from: int, count: int) -> tuple[int, int]:
        first, total = await self._find(wanted_from, count)
        while total < count:
            after, more = await self._find(first + total, count - total)
            if after == first + total:
                total += more
            else:
                first, total = after, more
        return first, count

    def block_offset(self, index: int) -> int:
        """Return where the block with that table index is or will be; 0 when there is none."""
        if index in self.new_blocks:
            return self.new_blocks[index]
        return self.table[index] & REFBLOCK_MASK if index < len(self.table) else 0

    async def _block(self, index: int) -> RefcountBlock | None:
        block = self._blocks.get(index)
        if block is not None:
            return block
        offset = self.block_offset(index)
        if not offset:
            return None
        image = self._image
        if offset % image.cluster_size:
            raise await image.corrupt(
                f"Refblock offset {c_hex(offset)} unaligned (reftable index: {c_hex(index)})"
            )
        if image.writable:
            await self._metadata.guard_structure(offset, kinds.REFBLOCK)
        await image.event("refblock_load")
        block = RefcountBlock(offset, await image.read(offset, image.cluster_size), is_dirty=False)
        await self._keep(index, block)
        return block

    async def _keep(self, index: int, block: RefcountBlock) -> None:
        while len(self._blocks) >= self._most_blocks:
            oldest = next(iter(self._blocks))
            await self._write_block(self._blocks[oldest])
            del self._blocks[oldest]
        self._blocks[index] = block

    async def _write_block(self, block: RefcountBlock) -> None:
        if block.is_dirty:
            await self._image.event("refblock_update_part")
            await self._image.write(block.offset, block.data)
            block.is_dirty = False

    async def _add_block(self, index: int) -> RefcountBlock:
        """Make a block for a range that has none.

        It goes into the first cluster of its own range, which is free as the whole range is, and counts
        itself.
        """
        await self._image.event("refblock_alloc")
        if index >= self._capacity:
            await self._grow_table(index)
            # The larger table may itself have been put into this range.
            if (made := await self._block(index)) is not None:
                return made
        image = self._image
        place = index * self.per_block
        await self._metadata.guard(place << image.cluster_bits, image.cluster_size)
        block = RefcountBlock(place << image.cluster_bits, bytearray(image.cluster_size), is_dirty=True)
        self.width.put(block.data, 0, 1)
        await self._keep(index, block)
        self.new_blocks[index] = block.offset
        self._metadata.add(block.offset, image.cluster_size, kinds.REFBLOCK)
        return block

    @property
    def _capacity(self) -> int:
        if self.planned_table is None:
            return len(self.table)
        return self.planned_table[1] * self._image.cluster_size // ENTRY_SIZE

    async def _grow_table(self, index: int) -> None:
        """Plan a place for a table that holds `index` and half as much again."""
        image = self._image
        await image.event("reftable_grow")
        clusters = (index * 3 // 2 + 1) * ENTRY_SIZE // image.cluster_size + 2
        if clusters * image.cluster_size > MAX_REFTABLE_BYTES:
            clusters = MAX_REFTABLE_BYTES // image.cluster_size
            if index >= MAX_REFTABLE_BYTES // ENTRY_SIZE:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        superseded = self.planned_table
        self.planned_table = (0, clusters)
        try:
            offset, _ = await self._allocate(clusters, whole=True)
        except BaseException:
            self.planned_table = superseded
            raise
        self._metadata.add(offset, clusters * image.cluster_size, kinds.REFTABLE)
        self.planned_table = (offset, clusters)
        if superseded is not None:
            await self._lower(superseded[0] >> image.cluster_bits, superseded[1], discard=False)
            self._metadata.remove(superseded[0], superseded[1] * image.cluster_size)

    async def release(self, offset: int, count: int, *, discard: bool = False) -> None:
        """Drop one reference to each of `count` host clusters, which nothing on disk needs any more.

        Args:
            offset: Host offset, a multiple of the cluster size.
            count: Clusters.
            discard: Give the space of those that become free back to the file below.
        """
        await self._image.event("cluster_free")
        async with self.lock:
            await self._lower(offset >> self._image.cluster_bits, count, discard=discard)

    async def _lower(self, first: int, count: int, *, discard: bool) -> None:
        # What becomes free is given back in runs: a large disk that shrinks would ask for each cluster.
        freed = range(0)
        for index, start, part in self._split(first, count):
            block = await self._block(index)
            if block is None:
                continue
            for entry in range(start, start + part):
                value = self.width.get(block.data, entry)
                if not value:
                    # QEMU: freeing what is not counted is logged and otherwise ignored.
                    continue
                cluster = index * self.per_block + entry
                if value == 1:
                    if discard and cluster != freed.stop:
                        await self._discard(freed)
                        freed = range(cluster, cluster)
                    freed = range(freed.start, cluster + 1)
                    self.next_free = min(self.next_free, cluster)
                    if cluster == self._packed_to >> self._image.cluster_bits:
                        self._packed_to = 0
                self.width.put(block.data, entry, value - 1)
                block.is_dirty = True
        if discard:
            await self._discard(freed)

    async def _discard(self, clusters: range) -> None:
        """Give a run of clusters back to the file below."""
        if clusters:
            bits = self._image.cluster_bits
            # Discarding is a favour; that it cannot be done costs space only.
            with contextlib.suppress(OSError):
                await self._image.child.pdiscard(clusters.start << bits, len(clusters) << bits)

    async def end_of_used(self) -> int:
        """Return the first host cluster after all that are counted."""
        async with self.lock:
            for index in reversed(range(max(len(self.table), *(new + 1 for new in self.new_blocks), 0))):
                block = await self._block(index)
                last = self.width.last_used(block.data) if block is not None else -1
                if last >= 0:
                    return index * self.per_block + last + 1
        return 0

    async def count(self, cluster: int) -> int:
        """Return the references that are counted for a host cluster."""
        async with self.lock:
            return await self._count(cluster)

    async def _count(self, cluster: int) -> int:
        index, start = divmod(cluster, self.per_block)
        block = await self._block(index)
        return self.width.get(block.data, start) if block is not None else 0

    async def exceed_file(self) -> bool:
        """Say whether clearly more clusters are counted than the file occupies on the host."""
        image = self._image
        occupied = await image.child.allocated_size()
        if occupied is None:
            return False
        clusters = occupied >> image.cluster_bits
        # QEMU: a tenth, and two clusters, may be due to how the host allocates.
        enough = max(clusters * 10 // 9, clusters + 2)
        if align_up(image.child.size, image.cluster_size) >> image.cluster_bits < enough:
            return False
        counted = 0
        async with self.lock:
            for index in range(len(self.table)):
                block = await self._block(index)
                counted += self.width.count_used(block.data) if block is not None else 0
                if counted >= enough:
                    return True
        return False

    async def trim_file(self) -> None:
        """Let the file end with its last cluster, of which perhaps only a part was stored, and have no room behind it."""
        reached, self._added_to = self._added_to, 0
        if reached:
            # Without it the image is as sound; the file may have been replaced by one of a fixed length.
            with contextlib.suppress(OSError, QMPError):
                await self._image.child.truncate(max(reached, self._image.child.size))

    def drop_clean(self) -> None:
        """Drop every block that could be read again, unless one is being worked on."""
        if not self.lock.locked():
            self._blocks = {index: block for index, block in self._blocks.items() if block.is_dirty}

    async def write_blocks(self) -> None:
        """Write every block that differs from what is on disk."""
        async with self.lock:
            await self.write_blocks_locked()

    async def write_blocks_locked(self) -> None:
        """Do as :meth:`write_blocks`; the caller holds :attr:`lock`."""
        for block in self._blocks.values():
            await self._write_block(block)
