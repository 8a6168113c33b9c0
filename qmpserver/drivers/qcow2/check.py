"""Check a whole image, and put right what can be.

Source: qcow2 specification, "Host cluster management" and "Cluster mapping".
"""

from qmpserver.driver_api.extras import CheckMode, CheckResult
from qmpserver.drivers.qcow2 import extensions as ext
from qmpserver.drivers.qcow2.check_stored import StoredCounts
from qmpserver.drivers.qcow2.check_walk import ActiveTable, TableWalker
from qmpserver.drivers.qcow2.entries import COMPRESSED, COPIED, ENTRY_SIZE, OFFSET_MASK
from qmpserver.drivers.qcow2.header import MAX_L1_BYTES
from qmpserver.drivers.qcow2.image import Image
from qmpserver.drivers.qcow2.snapshots import read_snapshots
from qmpserver.drivers.qcow2.widths import RefcountWidth
from qmpserver.units import align_up


async def check_image(image: Image, fix: CheckMode) -> CheckResult:
    """Check an image of which nothing is cached that is not on disk.

    Args:
        image: The image; only its header and the file below are used.
        fix: What to put right.

    Raises:
        OSError: Something could not be read or written.
    """
    check = _Check(image)
    await check.count()
    await check.compare()
    return check.result


class _Check:
    """One pass over an image."""

    def __init__(self, image: Image) -> None:
        self._image = image
        header = image.header
        self.result = CheckResult(total_clusters=align_up(header.size, header.cluster_size) >> header.cluster_bits)
        self.walker = TableWalker(image, RefcountWidth(header.refcount_order).maximum, self.result)
        self.stored = StoredCounts(image, self.result)

    async def count(self) -> None:
        """Count every reference there is."""
        image, header, walker = self._image, self._image.header, self.walker
        walker.add(0, image.cluster_size)
        await walker.walk_l1(header.l1_offset, header.l1_entries, active=True)
        snapshots = await read_snapshots(image)
        for offset, entries in snapshots.l1_tables:
            if offset % image.cluster_size or entries * ENTRY_SIZE > MAX_L1_BYTES:
                self.result.corruptions += 1
            else:
                await walker.walk_l1(offset, entries, active=False)
        walker.add(header.snapshot_offset, snapshots.length)
        bitmaps = ext.find_extension(image.extensions, ext.BITMAPS)
        if bitmaps is not None:
            await walker.walk_bitmaps(bitmaps)
        walker.add(header.reftable_offset, header.reftable_clusters * image.cluster_size)
        await self.stored.check_blocks(walker)

    async def compare(self) -> None:
        """Hold the stored counts, and the COPIED flags, against what was counted."""
        counts, stored = self.walker.counts, self.stored
        await stored.read(len(counts))
        self.result.check_errors += sum(map(len, stored.unreadable))
        for cluster in stored.counts.differences(counts):
            if any(cluster in gap for gap in stored.unreadable):
                continue
            if stored.counts.get(cluster) < counts.get(cluster):
                self.result.corruptions += 1
            else:
                self.result.leaks += 1
        last = max(counts.last_used(), stored.counts.last_used())
        self.result.image_end_offset = last + 1 << self._image.cluster_bits
        await self._check_copied()

    async def _check_copied(self) -> None:
        header = self._image.header
        l1 = await self.walker.read_table(header.l1_offset, header.l1_entries * ENTRY_SIZE)
        for table in self.walker.active:
            single = await self.is_single(table.offset)
            if single is None:
                continue
            self.result.corruptions += single != (l1[table.index] >= COPIED)
            await self._check_copied_table(table)

    async def is_single(self, offset: int) -> bool | None:
        """Say whether exactly one reference is stored for a cluster; None when that cannot be known."""
        count = await self.stored.count(offset >> self._image.cluster_bits)
        return None if count is None else count == 1

    async def _check_copied_table(self, table: ActiveTable) -> None:
        if table.runs is not None and all(
            copied and self.stored.counts.all_are(first, count, 1) for first, count, copied in table.runs
        ):
            return
        small, bits = self.stored.counts.small, self._image.cluster_bits
        for entry in await self.walker.read_table(table.offset, self._image.cluster_size):
            host = entry & OFFSET_MASK
            if not host or entry & COMPRESSED:
                continue
            cluster = host >> bits
            if entry >= COPIED and cluster < len(small) and small[cluster] == 1:
                continue
            single = await self.is_single(host)
            if single is not None:
                self.result.corruptions += single != (entry >= COPIED)
