"""Reserve clusters, make them what a guest range maps to, and take mappings away.

Source: qcow2 specification, "Cluster mapping".
"""

from array import array
from collections.abc import Awaitable, Callable, Iterable

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.driver import not_supported
from qmpserver.driver_api.mapping import Allocation
from qmpserver.drivers.qcow2.commit import Committer
from qmpserver.drivers.qcow2.entries import (
    COMPRESSED,
    COPIED,
    OFFSET_MASK,
    ZERO,
    compressed_entry,
    host_extent,
)  # fmt: skip
from qmpserver.drivers.qcow2.external import punch_holes, zero_raw
from qmpserver.drivers.qcow2.image import Image, c_hex
from qmpserver.drivers.qcow2.metadata import MetadataMap
from qmpserver.drivers.qcow2.refcounts import Refcounts
from qmpserver.drivers.qcow2.tables import L2Table
from qmpserver.units import MiB, align_up

SET_ASIDE = MiB
"""Bytes that the host is asked for together, so that clusters of which little is stored yet do not end up in pieces."""


class ClusterAllocation(Allocation):
    """Reserved clusters, all mapped by one L2 table.

    Attributes:
        table: The table, pinned.
        index: The first entry concerned.
        is_kept: They are the room that the guest clusters already had.
    """

    __slots__ = ("index", "is_kept", "table")

    def __init__(
        self, offset: int, length: int, child: BlockChild, host_offset: int, *, table: L2Table, index: int
    ) -> None:
        super().__init__(offset, length, child, host_offset)
        self.table = table
        self.index = index
        self.is_kept = False


class Allocator:
    """Changes to the map of one image.

    Args:
        image: The image.
        refcounts: Where clusters come from.
        committer: Where the tables are, and where replaced clusters go.
        metadata: Where the image's structures are.
    """

    def __init__(
        self, image: Image, refcounts: Refcounts, committer: Committer, metadata: MetadataMap
    ) -> None:
        self._image = image
        self._refcounts = refcounts
        self._committer = committer
        self._tables = committer.tables
        self._metadata = metadata
        self._set_aside_to = 0
        """Host offset up to which the host was asked for room."""
        self._l1_shift = image.cluster_bits + image.l2_bits
        self._l2_mask = image.l2_entries - 1

    async def allocate(self, offset: int, length: int) -> ClusterAllocation:
        """Reserve room for writing the range; see :meth:`MappingDriver.allocate`."""
        image = self._image
        bits, size = image.cluster_bits, image.cluster_size
        table = await self._tables.pin_writable(offset >> self._l1_shift)
        try:
            index = offset >> bits & self._l2_mask
            within = offset & (size - 1)
            count = min(within + length + size - 1 >> bits, image.l2_entries - index)
            entry = table.entries[index]
            await self._check_replaced(entry, offset - within)
            is_kept = bool(entry & ZERO and entry & COPIED and entry & OFFSET_MASK and not entry & COMPRESSED)
            if image.is_external:
                host, is_kept = offset - within, True
            elif is_kept:
                host, count = entry & OFFSET_MASK, self._kept_run(table, index, count)
            else:
                host, count = await self._refcounts.allocate(count)
        except BaseException:
            self._tables.unpin(table)
            raise
        guest = offset - within
        data = image.data_at(guest, host)
        made = ClusterAllocation(guest, count << bits, data, host, table=table, index=index)
        made.is_kept = is_kept
        return made

    def room_at_once(self, offset: int, length: int) -> ClusterAllocation | None:
        """Return a new cluster for a part of one that is blank; see :meth:`MappingDriver.room_at_once`."""
        image, bits, size = self._image, self._image.cluster_bits, self._image.cluster_size
        within = offset & (size - 1)
        if within + length > size or not self._is_simple():
            return None
        table = self._tables.writable_at_once(offset >> self._l1_shift)
        index = offset >> bits & self._l2_mask
        if table is None or table.entries[index] & ~ZERO:
            return None
        host = self._refcounts.unused_at_once()
        if host is None:
            return None
        if host + size > self._set_aside_to:
            self._set_aside_to = host + SET_ASIDE
            image.child.set_aside(host, SET_ASIDE)
        return ClusterAllocation(offset - within, size, image.data, host, table=table, index=index)

    def _is_simple(self) -> bool:
        """Say whether what is blank reads as zeroes, in the file as well, and nobody wants to be told of anything."""
        image = self._image
        is_plain = not (image.is_external or image.has_backing or image.broken) and image.encryption is None
        return is_plain and image.child.debug_hook is None

    def take_at_once(self, room: ClusterAllocation) -> None:
        """Make a cluster what its range maps to; see :meth:`MappingDriver.take_at_once`."""
        self._refcounts.take_at_once(room.host_offset)
        room.table.entries[room.index] = room.host_offset | COPIED
        self._tables.mark_dirty(room.table, room.index, room.index + 1)

    def _kept_run(self, table: L2Table, index: int, wanted: int) -> int:
        size = self._image.cluster_size
        expected = table.entries[index]
        run = 1
        while run < wanted and table.entries[index + run] == expected + run * size:
            run += 1
        return run

    async def _check_replaced(self, entry: int, guest: int) -> None:
        """Refuse to write where the present mapping cannot be right, with QEMU's texts."""
        host = entry & OFFSET_MASK
        if entry & COMPRESSED or not host:
            return
        size = self._image.cluster_size
        if host & (size - 1):
            kind = "Preallocated zero" if entry & ZERO else "Data"
            where = f"{kind} cluster offset {c_hex(host)} unaligned (guest offset: {c_hex(guest)})"
            raise await self._image.corrupt(where)
        if entry & COPIED and not self._image.is_external:
            await self._metadata.guard(host, size)

    async def link(self, allocation: ClusterAllocation, *, is_filled: bool = True) -> None:
        """Make reserved room what its range maps to; see :meth:`MappingDriver.link`.

        Args:
            allocation: The room.
            is_filled: Data was stored there; else a format that can tell says that there is none yet.
        """
        image = self._image
        image.check_sound()
        table, first = allocation.table, allocation.index
        size = self._image.cluster_size
        end = first + (allocation.length >> self._image.cluster_bits)
        old = table.entries[first:end]
        start = allocation.host_offset | COPIED
        if not is_filled and image.encryption is not None and image.header.version > 2:
            # Zeroes in the file decrypt to something else.
            start |= ZERO
        table.entries[first:end] = array("Q", range(start, start + allocation.length, size))
        self._tables.mark_dirty(table, first, end)
        self._tables.unpin(table)
        if not allocation.is_kept and any(old):
            await self._drop(old, discard=False)

    async def release(self, allocation: ClusterAllocation) -> None:
        """Give reserved room back; see :meth:`MappingDriver.release`."""
        self._tables.unpin(allocation.table)
        if not allocation.is_kept and not self._image.broken:
            await self._release(allocation.host_offset, allocation.length)

    async def _release(self, offset: int, length: int) -> None:
        """Give back every cluster that a host range touches."""
        bits = self._image.cluster_bits
        first = offset >> bits
        await self._refcounts.release(first << bits, (offset + length - 1 >> bits) - first + 1)

    async def store_compressed(self, offset: int, packed: bytes) -> None:
        """Store one cluster in compressed form, and make that what its range maps to.

        Args:
            offset: Guest offset, a multiple of the cluster size.
            packed: The compressed data, smaller than a cluster.

        Raises:
            OSError: It cannot be stored; the old content stands.
        """
        image, bits = self._image, self._image.cluster_bits
        table = await self._tables.pin_writable(offset >> self._l1_shift)
        try:
            word = (offset >> bits & self._l2_mask) * image.entry_words
            await self._check_replaced(table.entries[word], offset)
            host = await self._refcounts.allocate_bytes(len(packed))
            try:
                entry = compressed_entry(host, len(packed), bits)
                await image.child.pwrite(host, memoryview(packed))
                await image.event("l2_update_compressed")
                image.check_sound()
            except BaseException:
                if not image.broken:
                    await self._release(host, len(packed))
                raise
            old = table.entries[word : word + 1]
            table.entries[word : word + image.entry_words] = array("Q", (entry, 0)[: image.entry_words])
            self._tables.mark_dirty(table, word, word + image.entry_words)
            await self._drop(old, discard=False)
        finally:
            self._tables.unpin(table)

    async def _drop(self, entries: "array[int]", *, discard: bool) -> None:
        """Let go of what L2 entries, no longer in their table, refer to."""
        if self._image.is_external:
            if discard:
                await self._punch(entries)
            return
        bits, size = self._image.cluster_bits, self._image.cluster_size
        unaligned = 0
        for entry in entries:
            extent = host_extent(entry, bits)
            if extent is None:
                continue
            offset, length = extent
            if entry & COMPRESSED:
                first = offset >> bits
                self._committer.drop(
                    first << bits, (offset + length - 1 >> bits) - first + 1, discard=discard
                )
            elif offset & (size - 1):
                unaligned = unaligned or offset
            else:
                self._committer.drop(offset, 1, discard=discard)
        if unaligned:
            await self._image.corrupt(f"Cannot free unaligned cluster {c_hex(unaligned)}", fatal=False)

    async def zero(self, offset: int, length: int, *, may_unmap: bool) -> None:
        """Make clusters zero by metadata; see :meth:`MappingDriver.zero_clusters`."""
        if self._image.header.version < 3:
            raise not_supported()
        await zero_raw(self._image, offset, length, may_unmap=may_unmap)
        drops = may_unmap and not self._image.runtime.discard_no_unref

        def zeroed(entry: int) -> int:
            return ZERO if drops or entry & COMPRESSED else entry | ZERO

        await self._change(offset, length, zeroed, make_tables=True, unmap=may_unmap)

    async def discard(self, offset: int, length: int) -> None:
        """Drop clusters; see :meth:`MappingDriver.discard_clusters`."""
        version, has_backing = self._image.header.version, self._image.has_backing
        if version < 3 and has_backing:
            # Nothing but written zeroes could hide the backing file.
            raise not_supported()
        await zero_raw(self._image, offset, length, may_unmap=True)
        keeps = self._image.runtime.discard_no_unref
        allocated = COMPRESSED | OFFSET_MASK | (COPIED if self._image.is_external else 0)

        def discarded(entry: int) -> int:
            if version < 3:
                return 0
            if not (has_backing or entry & allocated):
                return entry
            return entry | ZERO if keeps and not entry & COMPRESSED else ZERO

        await self._change(offset, length, discarded, make_tables=has_backing, unmap=True)

    async def clear(self, offset: int, length: int, *, discard: bool | None = None) -> None:
        """Make clusters unallocated, whatever shows then.

        Args:
            offset: Guest offset, a multiple of the cluster size.
            length: Bytes.
            discard: Give what they occupied back to the file below; by default as for a guest's request.
        """
        await self._change(offset, length, lambda _: 0, make_tables=False, unmap=True, discard=discard)

    async def _change(
        self,
        offset: int,
        length: int,
        rule: Callable[[int], int],
        *,
        make_tables: bool,
        unmap: bool,
        discard: bool | None = None,
    ) -> None:
        """Replace each entry of the range by what `rule` makes of it, new for old.

        With `unmap`, zero clusters that keep their place still give their space back.
        """
        bits = self._image.cluster_bits

        async def apply(table: L2Table, start: int, stop: int) -> None:
            first = start >> bits & self._l2_mask
            dropped = self._change_entries(table, first, first + (stop - start >> bits), rule)
            await self._drop(
                dropped, discard=self._image.runtime.discard_request if discard is None else discard
            )
            if unmap:
                await self._unmap(table.entries[first : first + (stop - start >> bits)])

        await self._walk(offset, length, apply, make_tables=make_tables)

    async def _unmap(self, entries: Iterable[int]) -> None:
        """Give back what zero clusters occupy that keep their place, where nothing else shares it."""
        runtime = self._image.runtime
        if runtime.discard_no_unref and runtime.discard_request:
            await self._punch([entry for entry in entries if entry & COPIED and not entry & COMPRESSED])

    async def _punch(self, entries: Iterable[int]) -> None:
        """Give back what L2 entries led to that stays at its place."""
        if self._image.encryption is not None or self._image.has_backing:
            # A hole is not what shows there now: the old mapping must not come back to it.
            await self._committer.flush()
        await punch_holes(self._image, entries)

    async def _walk(
        self,
        offset: int,
        length: int,
        apply: Callable[[L2Table, int, int], Awaitable[None]],
        *,
        make_tables: bool,
    ) -> None:
        """Change a range table by table.

        Args:
            offset: Guest offset, a multiple of the subcluster size.
            length: Bytes; a last subcluster that is concerned in part is changed whole.
            apply: Changes a guest range inside one table, given its start and end.
            make_tables: Ranges without an L2 table need one for it.
        """
        self._image.check_sound()
        end = align_up(offset + length, self._image.subcluster_size)
        while offset < end:
            index = offset >> self._l1_shift
            stop = min(end, index + 1 << self._l1_shift)
            if make_tables or self._tables.exists(index):
                table = await self._tables.pin_writable(index)
                try:
                    await apply(table, offset, stop)
                finally:
                    self._tables.unpin(table)
            offset = stop
            await self._committer.relieve()

    def _change_entries(
        self, table: L2Table, first: int, end: int, rule: Callable[[int], int]
    ) -> "array[int]":
        """Change entries, and return those that led to what they no longer lead to."""
        old = table.entries[first:end]
        new = array("Q", map(rule, old))
        if new == old:
            return array("Q")
        table.entries[first:end] = new
        self._tables.mark_dirty(table, first, end)
        return array("Q", (was for was, now in zip(old, new, strict=True) if was and not now & OFFSET_MASK))
