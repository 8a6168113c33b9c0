"""Keep the L1 table and a bounded number of L2 tables in memory.

An L2 table that was just made or copied is found here by its L1 index, while ``l1`` goes on to say what
the disk says until :mod:`commit` has brought the table there.

Source: qcow2 specification, "Cluster mapping".
"""

from array import array
from collections.abc import Awaitable, Callable

from qmpserver.drivers.qcow2 import kinds
from qmpserver.drivers.qcow2.entries import COPIED, ENTRY_SIZE, OFFSET_MASK
from qmpserver.drivers.qcow2.image import Image, c_hex
from qmpserver.drivers.qcow2.metadata import MetadataMap
from qmpserver.drivers.qcow2.refcounts import Refcounts
from qmpserver.lock import Lock
from qmpserver.units import MiB

CACHE_BYTES = 32 * MiB
"""Bytes of L2 tables kept in memory, as in QEMU; never fewer than eight tables."""


FEW = 16
"""Tables that are enough for whoever goes through an image once."""


class L2Table:
    """One cached L2 table, in host byte order.

    Attributes:
        index: Which L1 entry it belongs to.
        offset: Host offset where it lives.
        entries: Its entries.
        is_new: No L1 entry on disk leads to this place yet.
        replaces: Host offset of the shared table that it is a copy of, or 0.
        dirty_from: First entry that differs from the disk.
        dirty_to: First entry after those; at most `dirty_from` when there are none.
        pins: Users that hold on to it; it is not evicted meanwhile.
        is_guarded: Nothing else of the image was found in the same place.
        used: It was used since the cache last looked for a victim.
    """

    __slots__ = (
        "dirty_from",
        "dirty_to",
        "entries",
        "index",
        "is_guarded",
        "is_new",
        "offset",
        "pins",
        "replaces",
        "used",
    )

    def __init__(self, index: int, offset: int, entries: "array[int]") -> None:
        self.index = index
        self.offset = offset
        self.entries = entries
        self.is_new = False
        self.is_guarded = False
        self.replaces = 0
        self.dirty_from = len(entries)
        self.dirty_to = 0
        self.pins = 0
        self.used = True


class L2Tables:
    """The mapping tables of one image.

    Args:
        image: The image.
        refcounts: Where room for new tables comes from.
        metadata: Where structures are; kept up to date here for L2 tables.
        write_back: Brings dirty tables to the disk, so that they can be evicted.
    """

    def __init__(
        self,
        image: Image,
        refcounts: Refcounts,
        metadata: MetadataMap,
        write_back: Callable[[], Awaitable[None]],
    ) -> None:
        self._image = image
        self._refcounts = refcounts
        self._metadata = metadata
        self._write_back = write_back
        self.l1 = array("Q")
        self.cached: dict[int, L2Table] = {}
        self.dirty: dict[L2Table, None] = {}
        self.lock = Lock()

    @property
    def _most(self) -> int:
        """Tables kept in memory at most."""
        return self._image.runtime.l2_tables or max(8, CACHE_BYTES // self._image.cluster_size)

    async def load(self) -> None:
        """Read the L1 table."""
        header = self._image.header
        self.l1 = await self._image.read_table(header.l1_offset, header.l1_entries * ENTRY_SIZE)

    def l2_offset(self, index: int) -> int:
        """Return the host offset of a table as the disk has it; 0 when there is none."""
        return self.l1[index] & OFFSET_MASK

    def exists(self, index: int) -> bool:
        """Say whether the L1 entry leads to a table."""
        return index in self.cached or self.l2_offset(index) != 0

    async def get(self, index: int) -> L2Table | None:
        """Return the table of an L1 entry, or None where nothing is allocated.

        Raises:
            CorruptImage: The L1 entry cannot be right.
            OSError: The table cannot be read.
        """
        table = self.cached.get(index)
        if table is not None:
            table.used = True
            return table
        async with self.lock:
            self._image.check_sound()
            return await self._get(index)

    async def _get(self, index: int) -> L2Table | None:
        table = self.cached.get(index)
        if table is not None:
            return table
        image = self._image
        offset = self.l2_offset(index)
        if not offset:
            return None
        if offset % image.cluster_size:
            raise await image.corrupt(f"L2 table offset {c_hex(offset)} unaligned (L1 index: {c_hex(index)})")
        await self._make_room()
        await image.event("l2_load")
        table = L2Table(index, offset, await image.read_table(offset, image.cluster_size))
        self.cached[index] = table
        return table

    async def _make_room(self) -> None:
        while len(self.cached) >= self._most and not self._evict():
            await self._write_back()
            if not self._evict():
                # All are in use at once: go over the bound rather than wait for one another.
                return

    def _evict(self) -> bool:
        """Drop one table that is clean and unpinned, one that was not used lately if there is any."""
        for spare_used in (True, False):
            for index in list(self.cached):
                table = self.cached[index]
                if table.pins or table.is_new or table in self.dirty:
                    continue
                if spare_used and table.used:
                    table.used = False
                    continue
                del self.cached[index]
                return True
        return False

    def keep_few(self) -> None:
        """Drop the tables that could be read again, but for a few: memory that is used again costs nothing anew."""
        while len(self.cached) > FEW and self._evict():
            pass

    def drop_unused(self) -> None:
        """Drop every table that could be read again and was not used since this was last called."""
        for index, table in list(self.cached.items()):
            if not (table.used or table.pins or table.is_new or table in self.dirty):
                del self.cached[index]
            table.used = False

    async def pin_writable(self, index: int) -> L2Table:
        """Return a table that belongs to this image alone, made if need be, and pin it.

        The caller calls :meth:`unpin` once.

        Raises:
            CorruptImage: The L1 entry cannot be right.
            OSError: The table cannot be read, or there is no room for it.
        """
        table = self.writable_at_once(index)
        if table is not None:
            table.pins += 1
            return table
        async with self.lock:
            self._image.check_sound()
            table = await self._get(index)
            if table is None:
                table = await self._add(index)
            elif not (table.is_new or self.l1[index] & COPIED):
                await self._unshare(table)
            elif not table.is_guarded:
                await self._metadata.guard_structure(table.offset, kinds.L2)
            table.is_guarded = True
            table.pins += 1
            return table

    def writable_at_once(self, index: int) -> L2Table | None:
        """Return a table that belongs to this image alone, if it is in memory; else None."""
        table = self.cached.get(index)
        if table is not None and table.is_guarded and (table.is_new or self.l1[index] & COPIED):
            return table
        return None

    def unpin(self, table: L2Table) -> None:
        """Let go of a pinned table."""
        table.pins -= 1

    async def _add(self, index: int) -> L2Table:
        await self._make_room()
        offset, _ = await self._refcounts.allocate(1)
        table = L2Table(index, offset, array("Q", bytes(self._image.cluster_size)))
        self._enter_new(table)
        return table

    async def _unshare(self, table: L2Table) -> None:
        old = table.offset
        await self._image.event("l2_alloc_cow_read")
        offset, _ = await self._refcounts.allocate(1)
        table.offset, table.replaces = offset, old
        self._enter_new(table)

    def _enter_new(self, table: L2Table) -> None:
        table.is_new = True
        self._metadata.add(table.offset, self._image.cluster_size, kinds.L2)
        self.cached[table.index] = table
        self.mark_dirty(table, 0, len(table.entries))

    def mark_dirty(self, table: L2Table, start: int, end: int) -> None:
        """Note that the entries from `start` up to `end` differ from the disk."""
        table.dirty_from = min(table.dirty_from, start)
        table.dirty_to = max(table.dirty_to, end)
        self.dirty[table] = None
