"""Reserve, link, zero and discard in an image with extended L2 entries.

A cluster is allocated whole but filled only where it is written, so that no more than a subcluster is ever
copied up for a small write.

Source: qcow2 specification, "Extended L2 Entries".
"""

from array import array
from collections.abc import Callable

from qmpserver.driver_api.driver import not_supported
from qmpserver.drivers.qcow2.allocation import Allocator, ClusterAllocation
from qmpserver.drivers.qcow2.entries import COMPRESSED, COPIED, OFFSET_MASK
from qmpserver.drivers.qcow2.external import zero_raw
from qmpserver.drivers.qcow2.subclusters import ALL, SUBCLUSTERS, bits_between, leading_run
from qmpserver.drivers.qcow2.tables import L2Table

Pair = tuple[int, int]
Rule = Callable[[int, int, int], Pair]
"""Makes of an entry, its bitmap and the bits of the subclusters concerned the new entry and bitmap."""


class SubclusterAllocator(Allocator):
    """Changes to the map of one image with extended L2 entries."""

    async def allocate(self, offset: int, length: int) -> ClusterAllocation:
        """Reserve room for writing the range; see :meth:`MappingDriver.allocate`.

        What is reserved begins and ends with a subcluster, unless data of a cluster that is to be replaced
        lies further out.
        """
        bits, size = self._image.cluster_bits, self._image.cluster_size
        table = await self._tables.pin_writable(offset >> self._l1_shift)
        try:
            index = offset >> bits & self._l2_mask
            within = offset & (size - 1)
            count = min(within + length + size - 1 >> bits, self._image.l2_entries - index)
            entry = table.entries[2 * index]
            await self._check_replaced(entry, offset - within)
            is_kept, count = self._alike(table, index, count)
            end = min(within + length, count * size)
            if is_kept:
                host = offset - within if self._image.is_external else entry & OFFSET_MASK
                start, end = self._free_span(table, index, within, end)
            else:
                host, count = await self._refcounts.allocate(count)
                start, end = self._replaced_span(table, index, within, min(end, count * size))
        except BaseException:
            self._tables.unpin(table)
            raise
        guest = offset - within
        data = self._image.data_at(guest, host)
        made = ClusterAllocation(guest + start, end - start, data, host + start, table=table, index=index)
        made.is_kept = is_kept
        return made

    def _is_simple(self) -> bool:
        """Say no: a cluster is more than one word, and may be there in part."""
        return False

    def _is_kept(self, entry: int) -> bool:
        """Say whether a cluster has room of its own already."""
        return self._image.is_external or bool(
            entry & COPIED and entry & OFFSET_MASK and not entry & COMPRESSED
        )

    def _alike(self, table: L2Table, index: int, wanted: int) -> tuple[bool, int]:
        """Say whether a cluster has room of its own, and how many from it on are like it and in line."""
        entry, size = table.entries[2 * index], self._image.cluster_size
        if self._image.is_external:
            return True, wanted
        is_kept, run = self._is_kept(entry), 1
        while run < wanted:
            following = table.entries[2 * (index + run)]
            if self._is_kept(following) != is_kept or (is_kept and following != entry + run * size):
                break
            run += 1
        return is_kept, run

    def _free_span(self, table: L2Table, index: int, within: int, end: int) -> tuple[int, int]:
        """Widen a range to subclusters, and end it before the first that holds data already."""
        unit = self._image.subcluster_size
        first, last = within // unit, -(-end // unit)
        reached = first + 1
        while reached < last:
            cluster, sub = divmod(reached, SUBCLUSTERS)
            run = leading_run(~table.entries[2 * (index + cluster) + 1] & ALL, sub)
            if not run:
                break
            reached += run
        return first * unit, min(reached, last) * unit

    def _replaced_span(self, table: L2Table, index: int, within: int, end: int) -> tuple[int, int]:
        """Widen a range to subclusters, and to all data of the outermost clusters, which are replaced."""
        unit = self._image.subcluster_size
        last = (end - 1) // self._image.cluster_size
        first_sub, last_sub = within // unit, -(-end // unit)
        held = self._held(table, index)
        if held:
            first_sub = min(first_sub, (held & -held).bit_length() - 1)
        held = self._held(table, index + last)
        last_sub = max(last_sub, last * SUBCLUSTERS + held.bit_length())
        return first_sub * unit, last_sub * unit

    def _held(self, table: L2Table, index: int) -> int:
        """Return the bits of the subclusters that hold data."""
        entry, bitmap = table.entries[2 * index : 2 * index + 2]
        return ALL if entry & COMPRESSED else bitmap & ALL

    async def link(self, allocation: ClusterAllocation, *, is_filled: bool = True) -> None:
        """Make reserved room what its range maps to; see :meth:`MappingDriver.link`."""
        self._image.check_sound()
        table, size, unit = allocation.table, self._image.cluster_size, self._image.subcluster_size
        start = allocation.host_offset & (size - 1)
        end, host = start + allocation.length, allocation.host_offset - start
        first, position, dropped = allocation.index, 0, array("Q")
        while position < end:
            index = first + position // size
            entry, bitmap = table.entries[2 * index : 2 * index + 2]
            new = bits_between(max(start - position, 0) // unit, min(end - position, size) // unit)
            new = new if is_filled else 0
            kept = bitmap & ALL if allocation.is_kept else 0
            table.entries[2 * index] = host + position | COPIED
            table.entries[2 * index + 1] = bitmap & ~(new << SUBCLUSTERS | ALL) | kept | new
            if entry and not allocation.is_kept:
                dropped.append(entry)
            position += size
        self._tables.mark_dirty(table, 2 * first, 2 * (first + -(-end // size)))
        self._tables.unpin(table)
        await self._drop(dropped, discard=False)

    async def zero(self, offset: int, length: int, *, may_unmap: bool) -> None:
        """Make subclusters zero by metadata; see :meth:`MappingDriver.zero_clusters`."""
        await self._refuse_compressed(offset, length)
        await zero_raw(self._image, offset, length, may_unmap=may_unmap)
        drops = may_unmap and not self._image.runtime.discard_no_unref

        def zeroed(entry: int, bitmap: int, bits: int) -> Pair:
            # A compressed cluster is concerned as a whole, but for what lies past the end of the image.
            if entry & COMPRESSED or (bits == ALL and drops):
                return 0, ALL << SUBCLUSTERS
            return entry, (bitmap | bits << SUBCLUSTERS) & ~bits

        await self._change_pairs(offset, length, zeroed, make_tables=True, unmap=may_unmap)

    async def _refuse_compressed(self, offset: int, length: int) -> None:
        """Refuse to zero parts of compressed clusters: they have no bits.

        Raises:
            OSError: ENOTSUP.
        """
        size = self._image.cluster_size
        for place in (offset, offset + length):
            if place % size == 0 or place >= self._image.header.size:
                continue
            table = await self._tables.get(place >> self._l1_shift)
            index = place >> self._image.cluster_bits & self._l2_mask
            if table is not None and table.entries[2 * index] & COMPRESSED:
                raise not_supported()

    async def discard(self, offset: int, length: int) -> None:
        """Drop clusters; see :meth:`MappingDriver.discard_clusters`."""
        await zero_raw(self._image, offset, length, may_unmap=True)
        has_backing = self._image.has_backing

        keeps = self._image.runtime.discard_no_unref

        def discarded(entry: int, bitmap: int, _bits: int) -> Pair:
            if not (has_backing or entry):
                return entry, bitmap
            return (entry if keeps and not entry & COMPRESSED else 0), ALL << SUBCLUSTERS

        await self._change_pairs(offset, length, discarded, make_tables=has_backing, unmap=True)

    async def clear(self, offset: int, length: int, *, discard: bool | None = None) -> None:
        """Make clusters unallocated, whatever shows then; see :meth:`Allocator.clear`."""
        await self._change_pairs(
            offset, length, lambda *_: (0, 0), make_tables=False, unmap=True, discard=discard
        )

    async def _change_pairs(
        self,
        offset: int,
        length: int,
        rule: Rule,
        *,
        make_tables: bool,
        unmap: bool,
        discard: bool | None = None,
    ) -> None:
        async def apply(table: L2Table, start: int, stop: int) -> None:
            dropped = self._change_range(table, start, stop, rule)
            await self._drop(
                dropped, discard=self._image.runtime.discard_request if discard is None else discard
            )
            if unmap:
                first = start >> self._image.cluster_bits & self._l2_mask
                end = first + -(-(stop - start) // self._image.cluster_size)
                pairs = iter(table.entries[2 * first : 2 * end])
                # Those of which no part holds data.
                await self._unmap(
                    entry for entry, bitmap in zip(pairs, pairs, strict=True) if bitmap == ALL << SUBCLUSTERS
                )

        await self._walk(offset, length, apply, make_tables=make_tables)

    def _change_range(self, table: L2Table, start: int, stop: int, rule: Rule) -> "array[int]":
        """Replace each entry of a guest range inside one table by what `rule` makes of it.

        Returns:
            The entries that led to what they no longer lead to.
        """
        bits, size, unit = self._image.cluster_bits, self._image.cluster_size, self._image.subcluster_size
        dropped = array("Q")
        changed: list[int] = []
        while start < stop:
            within = start & (size - 1)
            index = start >> bits & self._l2_mask
            end = min(size, stop - start + within)
            entry, bitmap = table.entries[2 * index : 2 * index + 2]
            new = rule(entry, bitmap, bits_between(within // unit, end // unit))
            if new != (entry, bitmap):
                table.entries[2 * index : 2 * index + 2] = array("Q", new)
                changed.append(index)
                if entry and not new[0]:
                    dropped.append(entry)
            start += end - within
        if changed:
            self._tables.mark_dirty(table, 2 * changed[0], 2 * changed[-1] + 2)
        return dropped
