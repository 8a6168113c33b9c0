"""Count every reference anew, and correct the stored counts of an image that was not closed cleanly.

Source: qcow2 specification, "Host cluster management" and the dirty bit.
"""

from array import array

from qmpserver.drivers.qcow2 import extensions as ext
from qmpserver.drivers.qcow2.entries import COPIED, ENTRY_SIZE, OFFSET_MASK, REFBLOCK_MASK, host_extent
from qmpserver.drivers.qcow2.image import Image
from qmpserver.drivers.qcow2.refcounts import Refcounts
from qmpserver.drivers.qcow2.snapshots import SnapshotTable, valid_l1_tables
from qmpserver.drivers.qcow2.tables import L2Tables
from qmpserver.units import align_up


class ReferenceCounter:
    """Counts the references that an image's tables make.

    Args:
        image: The image.
        refcounts: Its refcount table, loaded.
        tables: Its L1 table, loaded.
    """

    def __init__(self, image: Image, refcounts: Refcounts, tables: L2Tables) -> None:
        self._image = image
        self._refcounts = refcounts
        self._tables = tables
        in_file = align_up(image.child.size, image.cluster_size) >> image.cluster_bits
        self.counts = array("Q", bytes(in_file * 8))
        self.beyond: dict[int, int] = {}
        """References to clusters past the end of the file."""

    async def count_all(self, snapshots: SnapshotTable) -> None:
        """Walk every table of the image."""
        header = self._image.header
        self._add(0, header.cluster_size)
        self._add(header.reftable_offset, header.reftable_clusters * header.cluster_size)
        for entry in self._refcounts.table:
            if entry & REFBLOCK_MASK:
                self._add(entry & REFBLOCK_MASK, header.cluster_size)
        await self._count_l1(header.l1_offset, self._tables.l1)
        if header.snapshot_count:
            self._add(header.snapshot_offset, snapshots.length)
        for offset, length in valid_l1_tables(self._image, snapshots):
            await self._count_l1(offset, await self._read_table(offset, length))

    async def _count_l1(self, offset: int, l1: "array[int]") -> None:
        self._add(offset, len(l1) * ENTRY_SIZE)
        for entry in l1:
            l2_offset = entry & OFFSET_MASK
            if not l2_offset or l2_offset % self._image.cluster_size:
                continue
            self._add(l2_offset, self._image.cluster_size)
            for l2_entry in await self._read_table(l2_offset, self._image.cluster_size):
                extent = host_extent(l2_entry, self._image.cluster_bits)
                if extent is not None:
                    self._add(*extent)

    async def _read_table(self, offset: int, length: int) -> "array[int]":
        table = array("Q")
        table.frombytes(await self._image.read(offset, length))
        table.byteswap()
        return table

    def _add(self, offset: int, length: int) -> None:
        if not length:
            return
        bits = self._image.cluster_bits
        for cluster in range(offset >> bits, (offset + length - 1 >> bits) + 1):
            if cluster < len(self.counts):
                self.counts[cluster] += 1
            else:
                self.beyond[cluster] = self.beyond.get(cluster, 0) + 1


async def repair_refcounts(
    image: Image, refcounts: Refcounts, tables: L2Tables, snapshots: SnapshotTable
) -> None:
    """Make the stored counts those that the tables call for, and the COPIED flags agree with them.

    Counts that are too high are left so when bitmaps, which are not walked, may hold the clusters.

    Raises:
        OSError: A table cannot be read or written, or a count does not fit its width.
    """
    counter = ReferenceCounter(image, refcounts, tables)
    await counter.count_all(snapshots)
    may_lower = ext.find_extension(image.extensions, ext.BITMAPS) is None
    end = max(len(counter.counts) - 1, max(counter.beyond, default=0)) + 1
    await refcounts.restore(enumerate(counter.counts), end, may_lower=may_lower)
    await refcounts.restore(sorted(counter.beyond.items()), end, may_lower=may_lower)
    await _repair_copied_flags(image, tables, counter)


async def _repair_copied_flags(image: Image, tables: L2Tables, counter: ReferenceCounter) -> None:
    """Set COPIED in the active tables exactly where there is one reference."""

    def is_single(offset: int) -> bool:
        cluster = offset >> image.cluster_bits
        return (
            counter.counts[cluster] if cluster < len(counter.counts) else counter.beyond.get(cluster)
        ) == 1

    def corrected(entry: int) -> int:
        offset = entry & OFFSET_MASK
        if entry >> 62 & 1 or not offset or offset % image.cluster_size:
            return entry
        return entry | COPIED if is_single(offset) else entry & ~COPIED

    for index, entry in enumerate(tables.l1):
        offset = entry & OFFSET_MASK
        if not offset or offset % image.cluster_size:
            continue
        l2 = array("Q")
        l2.frombytes(await image.read(offset, image.cluster_size))
        l2.byteswap()
        fixed = array("Q", map(corrected, l2))
        if fixed != l2:
            fixed.byteswap()
            await image.write(offset, fixed.tobytes())
        tables.l1[index] = corrected(entry)
    on_disk = array("Q", tables.l1)
    on_disk.byteswap()
    if on_disk:
        await image.write(image.header.l1_offset, on_disk.tobytes())
