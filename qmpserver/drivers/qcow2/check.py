"""Check a whole image, and put right what can be.

What is put right is written in an order that leaves the image no worse wherever it is interrupted: counts
that are too low are raised first, then flags are corrected, and counts that are too high are lowered last.

Source: qcow2 specification, "Host cluster management" and "Cluster mapping".
"""

import errno
import itertools
import os

from qmpserver.driver_api.check_result import CheckResult
from qmpserver.driver_api.extras import CheckMode
from qmpserver.drivers.qcow2 import extensions as ext
from qmpserver.drivers.qcow2.check_bitmaps import walk_bitmaps
from qmpserver.drivers.qcow2.check_copied import CopiedFlags
from qmpserver.drivers.qcow2.check_counts import ClusterCounts
from qmpserver.drivers.qcow2.check_rebuild import rebuild_refcounts
from qmpserver.drivers.qcow2.check_stored import StoredCounts
from qmpserver.drivers.qcow2.check_walk import TableWalker
from qmpserver.drivers.qcow2.crypt_method import header_pointer
from qmpserver.drivers.qcow2.entries import ENTRY_SIZE, REFBLOCK_MASK, ZERO
from qmpserver.drivers.qcow2.findings import Findings, Report, tell_nobody
from qmpserver.drivers.qcow2.header import AUTOCLEAR_BITMAPS, INCOMPAT_CORRUPT, INCOMPAT_DIRTY, MAX_L1_BYTES
from qmpserver.drivers.qcow2.image import Image
from qmpserver.drivers.qcow2.snapshot_change import SnapshotChange
from qmpserver.drivers.qcow2.snapshots import SnapshotTable, pack_table, read_snapshots, valid_l1_tables
from qmpserver.drivers.qcow2.widths import RefcountWidth
from qmpserver.units import align_up


async def check_image(image: Image, fix: CheckMode, report: Report | None = None) -> CheckResult:
    """Check an image of which nothing is cached that is not on disk.

    Args:
        image: The image; only its header and the file below are used.
        fix: What to put right.
        report: Told of each error, or None.

    Raises:
        OSError: Something could not be read or written.
    """
    check = _Check(image, fix, report)
    await check.count()
    await check.compare()
    return check.result


class _Check:
    """One pass over an image."""

    def __init__(self, image: Image, fix: CheckMode, report: Report | None) -> None:
        self._image = image
        self._fix = fix
        header = image.header
        clusters = align_up(header.size, header.cluster_size) >> header.cluster_bits
        self.result = Findings(report, total_clusters=clusters)
        self._walker = TableWalker(image, RefcountWidth(header.refcount_order).maximum, self.result)
        self._stored = StoredCounts(image, self.result)
        self._snapshots = SnapshotTable(0)
        self._without_refcounts = ClusterCounts(0)
        self._others_corrupt = 0

    async def count(self) -> None:
        """Count every reference there is."""
        image, header, walker = self._image, self._image.header, self._walker
        self._snapshots = await read_snapshots(image, for_check=True)
        if self._snapshots.oversized and self._fix is not CheckMode.ALL:
            # QEMU: such a table is nothing to count from until its extra data may be thrown away.
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        await self._note_structures()
        if self._fix is CheckMode.ALL:
            walker.unaligned_zeroes = set()
        walker.add(0, image.cluster_size)
        await walker.walk_l1(header.l1_offset, header.l1_entries, active=True)
        faults = self._faulty_snapshots
        self.result.add_corruption(
            f"ERROR snapshot table: {faults} entries lack data or are too long", faults
        )
        for offset, entries in self._snapshots.l1_tables:
            if offset % image.cluster_size or entries * ENTRY_SIZE > MAX_L1_BYTES:
                self.result.add_corruption(
                    f"ERROR a snapshot's L1 table at offset {offset:#x} cannot be right"
                )
            else:
                await walker.walk_l1(offset, entries, active=False)
        walker.add(header.snapshot_offset, self._snapshots.length)
        if not walker.add(*header_pointer(image.extensions)) and self._fix is not CheckMode.NONE:
            # QEMU: it goes on, and gives the clusters with the keys away as leaks.
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        bitmaps = ext.find_extension(image.extensions, ext.BITMAPS)
        if bitmaps is not None and header.autoclear & AUTOCLEAR_BITMAPS:
            await walk_bitmaps(image, walker, bitmaps)
        await self._replace_unaligned_zeroes()
        self._others_corrupt = self.result.corruptions
        if self._fix is CheckMode.ALL:
            self._without_refcounts = walker.counts.copy()
        walker.add(header.reftable_offset, header.reftable_clusters * image.cluster_size)
        await self._stored.check_blocks(walker)

    @property
    def _faulty_snapshots(self) -> int:
        """How many entries of the snapshot table lack what version 3 demands, or are too long."""
        incomplete = sum(entry.disk_size is None for entry in self._snapshots.entries)
        return self._snapshots.oversized + (incomplete if self._image.header.version >= 3 else 0)

    async def _rewrite_snapshot_table(self) -> None:
        image, faults = self._image, self._faulty_snapshots
        if not faults or self._fix is not CheckMode.ALL or self.result.corruptions > faults:
            return
        change = SnapshotChange(image)
        await change.begin()
        change.add_range(image.header.snapshot_offset, self._snapshots.length, -1)
        offset = await change.store(pack_table(self._snapshots.entries, image.header.size))
        await change.switch(snapshot_offset=offset)
        self.result.corruptions -= faults
        self.result.corruptions_fixed += faults

    async def _note_structures(self) -> None:
        header, size = self._image.header, self._image.cluster_size
        reftable_length = header.reftable_clusters * size
        note = self._walker.note_structure
        note(0, size)
        note(header.l1_offset, header.l1_entries * ENTRY_SIZE)
        note(header.reftable_offset, reftable_length)
        for entry in await self._image.read_table(header.reftable_offset, reftable_length):
            if entry:
                note(entry & REFBLOCK_MASK, size)
        if header.snapshot_count:
            note(header.snapshot_offset, self._snapshots.length)
        for offset, length in valid_l1_tables(self._image, self._snapshots):
            note(offset, length)

    async def _replace_unaligned_zeroes(self) -> None:
        for table, index in self._walker.unaligned_zeroes or ():
            if not self._walker.is_only_table(table):
                # QEMU writes there whatever else it is.
                self.result.add_corruption(
                    f"ERROR zero cluster: entry {index} of the table at {table:#x} has a misaligned offset"
                )
                continue
            await self._image.write(table + index * ENTRY_SIZE, ZERO.to_bytes(ENTRY_SIZE, "big"))
            self.result.corruptions_fixed += 1
            self.result.report(f"Repairing zero cluster: entry {index} of the table at {table:#x}")

    async def compare(self) -> None:
        """Hold the stored counts, and the COPIED flags, against what was counted."""
        counts, stored = self._walker.counts, self._stored
        await stored.read(len(counts))
        if stored.unreadable:
            counts = counts.copy()
        for gap in stored.unreadable:
            # What cannot be compared is not called wrong.
            for cluster in gap:
                counts.put(cluster, 0)
        wrong = [(cluster, counts.get(cluster)) for cluster in stored.counts.differences(counts)]
        too_low = [(cluster, count) for cluster, count in wrong if stored.counts.get(cluster) < count]
        too_high = [(cluster, count) for cluster, count in wrong if stored.counts.get(cluster) > count]
        last = max(counts.last_used(), stored.counts.last_used(), 0)
        self.result.image_end_offset = last + 1 << self._image.cluster_bits
        is_to_be_rebuilt = stored.is_broken or stored.lies_outside or stored.lacks_block(too_low)
        self._report_wrong(wrong, CheckMode.NONE)
        if self._fix is CheckMode.ALL and is_to_be_rebuilt:
            await self._rebuild(len(too_low), len(too_high))
            too_high = []
        else:
            if self._fix is not CheckMode.NONE:
                self._report_wrong(wrong, self._fix)
            await self._correct(too_low, too_high)
        await self._correct_flags()
        if self._fix is not CheckMode.NONE:
            await stored.write(too_high)
            await self._image.child.flush()
            await self._rewrite_snapshot_table()
            await self._mark_sound()

    def _report_wrong(self, wrong: list[tuple[int, int]], fix: CheckMode) -> None:
        """Report each count that is wrong, as QEMU words it: as it was found, and then as it is put right."""
        report = self.result.report
        if report is tell_nobody:
            # There may be millions.
            return
        for cluster, count in wrong:
            stored = self._stored.counts.get(cluster)
            is_leak = stored > count
            is_mended = fix is CheckMode.ALL or (fix is CheckMode.LEAKS and is_leak)
            verb = "Repairing" if is_mended else "Leaked" if is_leak else "ERROR"
            report(f"{verb} cluster {cluster} refcount={stored} reference={count}")

    async def _correct(self, too_low: list[tuple[int, int]], too_high: list[tuple[int, int]]) -> None:
        """Raise the counts that are too low, and say of those that are too high that they will be lowered."""
        result, stored = self.result, self._stored
        result.check_errors += sum(map(len, stored.unreadable))
        for cluster in itertools.chain(*stored.unreadable):
            result.report(f"Can't get refcount for cluster {cluster}: {os.strerror(errno.EIO)}")
        if self._fix is CheckMode.ALL:
            await stored.write(too_low)
            result.corruptions_fixed += len(too_low)
        else:
            result.corruptions += len(too_low)
        if self._fix is CheckMode.NONE or stored.is_broken:
            result.leaks += len(too_high)
            too_high.clear()
        else:
            result.leaks_fixed += len(too_high)
            for cluster, count in too_high:
                stored.counts.put(cluster, count)

    async def _rebuild(self, too_low: int, too_high: int) -> None:
        result, image = self.result, self._image
        result.corruptions_fixed += result.corruptions + too_low - self._others_corrupt
        result.corruptions = self._others_corrupt
        result.leaks_fixed += too_high
        result.report("Rebuilding refcount structure")
        await rebuild_refcounts(image, self._without_refcounts, self._walker.counts)
        self._walker.structures.clear()
        await self._note_structures()
        self._stored = StoredCounts(image, Findings())
        counts = TableWalker(image, 1, Findings())
        await self._stored.check_blocks(counts)
        await self._stored.read(len(counts.counts))
        result.image_end_offset = self._stored.counts.last_used() + 1 << image.cluster_bits

    async def _correct_flags(self) -> None:
        is_settled = not (self.result.corruptions or self.result.leaks or self.result.check_errors)
        repair = self._fix is CheckMode.ALL or (self._fix is CheckMode.LEAKS and is_settled)
        if repair:
            await self._image.child.flush()
        walker = self._walker
        flags = CopiedFlags(
            self._image, self._stored, walker if repair else None, walker.bulk, self.result.report
        )
        await flags.check(self._walker.active)
        if flags.repaired:
            await self._image.child.flush()
        self.result.corruptions += flags.wrong
        self.result.corruptions_fixed += flags.repaired

    async def _mark_sound(self) -> None:
        """Take away the marks of an image that was not closed cleanly, or found to be corrupt."""
        header, result = self._image.header, self.result
        marks = INCOMPAT_DIRTY | INCOMPAT_CORRUPT
        if header.incompatible & marks and not result.corruptions and not result.check_errors:
            await self._image.set_incompatible(header.incompatible & ~marks)
