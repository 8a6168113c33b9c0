"""Hold the COPIED flags of the active tables against the stored reference counts.

Source: qcow2 specification, "Cluster mapping".
"""

from array import array
from collections.abc import Iterable

from qmpserver import tasks
from qmpserver.drivers.qcow2.check_bulk import BulkEntries
from qmpserver.drivers.qcow2.check_stored import StoredCounts
from qmpserver.drivers.qcow2.check_walk import ActiveTable, TableWalker
from qmpserver.drivers.qcow2.entries import COMPRESSED, COPIED, ENTRY_SIZE, OFFSET_MASK
from qmpserver.drivers.qcow2.findings import Report
from qmpserver.drivers.qcow2.image import Image


class CopiedFlags:
    """The flags of one image.

    Args:
        image: The image.
        stored: Its reference counts as they are, or are about to be.
        repairs: Knows which tables may be written; None when nothing is to be corrected.
        bulk: What looks at many entries at once, if there is such.
        report: Told of each wrong flag.

    Attributes:
        wrong: Flags that are wrong and were left so.
        repaired: Flags that were wrong.
    """

    def __init__(
        self,
        image: Image,
        stored: StoredCounts,
        repairs: TableWalker | None,
        bulk: BulkEntries | None,
        report: Report,
    ) -> None:
        self._image = image
        self._stored = stored
        self._repairs = repairs
        self._bulk = bulk
        self.wrong = 0
        self.repaired = 0
        self._report = report

    async def check(self, tables: list[ActiveTable]) -> None:
        """Check, and perhaps correct, all flags.

        Args:
            tables: Every L2 table of the active L1 table.
        """
        header = self._image.header
        l1 = await self._image.read_table(header.l1_offset, header.l1_entries * ENTRY_SIZE)
        wrong = 0
        for table in tables:
            single = await self._is_single(table.offset)
            if single is None:
                continue
            if single != (l1[table.index] >= COPIED):
                wrong += 1
                await self._tell(
                    f"L2 cluster: l1_index={table.index} l1_entry={l1[table.index]:x}",
                    table.offset,
                    repairs=self._may_write_l1,
                )
                l1[table.index] ^= COPIED
            await self._check_table(table)
        await self._settle(header.l1_offset, l1, wrong, may_write=self._may_write_l1)

    @property
    def _may_write_l1(self) -> bool:
        return self._repairs is not None and self._image.header.l1_offset >= self._image.cluster_size

    async def _tell(self, what: str, offset: int, *, repairs: bool) -> None:
        """Report a flag that is wrong, as QEMU words it."""
        count = 1 if self._image.is_external else await self._stored.count(offset >> self._image.cluster_bits)
        self._report(f"{'Repairing' if repairs else 'ERROR'} OFLAG_COPIED {what} refcount={count}")

    async def _settle(self, offset: int, entries: "array[int]", wrong: int, *, may_write: bool) -> None:
        """Write a table in which so many flags were corrected, or count them as wrong."""
        if not wrong or not may_write:
            self.wrong += wrong
            return
        entries.byteswap()
        await self._image.write(offset, entries.tobytes())
        self.repaired += wrong

    async def _is_single(self, offset: int) -> bool | None:
        """Say whether exactly one reference is stored for a cluster; None when that cannot be known."""
        count = await self._stored.count(offset >> self._image.cluster_bits)
        return None if count is None else count == 1

    def _suspects(self, entries: "array[int]") -> Iterable[int]:
        """Return the indexes of entries whose flag is not plainly right."""
        step, counts = self._image.entry_words, self._stored.counts
        if self._bulk is not None:
            return self._bulk.not_single(entries, step, counts)
        small, bits = counts.small, self._image.cluster_bits
        clusters = len(small)
        return (
            index
            for index in range(0, len(entries), step)
            if (host := (entry := entries[index]) & OFFSET_MASK)
            and not entry & COMPRESSED
            and not (entry >= COPIED and host >> bits < clusters and small[host >> bits] == 1)
        )

    async def _check_table(self, table: ActiveTable) -> None:
        if table.runs is not None and all(
            copied and (self._image.is_external or self._stored.counts.all_are(first, count, 1))
            for first, count, copied in table.runs
        ):
            return
        wrong = 0
        may_write = self._repairs is not None and self._repairs.is_alone(table.offset)
        entries = await self._image.read_table(table.offset, self._image.cluster_size)
        # Let others have their turn.
        await tasks.pause()
        for index in self._suspects(entries):
            entry = entries[index]
            host = entry & OFFSET_MASK
            # Nothing shares the clusters of an external data file.
            single = True if self._image.is_external else await self._is_single(host)
            if single is not None and single != (entry >= COPIED):
                await self._tell(f"data cluster: l2_entry={entry:x}", host, repairs=may_write)
                entries[index] ^= COPIED
                wrong += 1
        await self._settle(table.offset, entries, wrong, may_write=may_write)
