"""Say where guest ranges live in an image with extended L2 entries.

An entry is two words: one as in other images, and one with two bits for each of 32 subclusters. The low half
of the second says which are allocated, the high half which read as zeroes; neither means that the backing
file supplies it, whether or not the cluster has room for it.

Source: qcow2 specification, "Extended L2 Entries".
"""

from typing import Final

from qmpserver.driver_api.mapping import Mapping, MappingKind
from qmpserver.drivers.qcow2.entries import COMPRESSED, COPIED, OFFSET_MASK
from qmpserver.drivers.qcow2.image import c_hex
from qmpserver.drivers.qcow2.mapping import Mapper
from qmpserver.drivers.qcow2.tables import L2Table

SUBCLUSTERS: Final = 32
"""Subclusters of a cluster."""

ALL: Final = (1 << SUBCLUSTERS) - 1
"""The bits of all subclusters, in either half."""

_WHOLE: Final = {MappingKind.DATA: ALL, MappingKind.ZERO: ALL << SUBCLUSTERS, MappingKind.BACKING: 0}
"""The bitmaps of clusters that are one thing throughout."""


def bits_between(first: int, end: int) -> int:
    """Return the bits of the subclusters from `first` up to `end`."""
    return (1 << end) - (1 << first)


def kind_bits(bitmap: int, subcluster: int) -> tuple[MappingKind, int]:
    """Return what a subcluster holds, and the bits of all that hold the like."""
    zero, allocated = bitmap >> SUBCLUSTERS, bitmap & ALL
    if zero >> subcluster & 1:
        return MappingKind.ZERO, zero
    if allocated >> subcluster & 1:
        return MappingKind.DATA, allocated
    return MappingKind.BACKING, ~(zero | allocated) & ALL


def leading_run(bits: int, first: int) -> int:
    """Return how many bits are set in a row from `first` on."""
    rest = ~(bits >> first)
    return (rest & -rest).bit_length() - 1


class SubclusterMapper(Mapper):
    """The map of one image with extended L2 entries."""

    async def map(self, offset: int, length: int) -> Mapping:
        """Say where the range begins; see :meth:`MappingDriver.map`."""
        self._image.check_sound()
        table = await self._tables.get(offset >> self._l1_shift)
        if table is None:
            return Mapping(MappingKind.BACKING, self._unallocated(offset, length))
        index = offset >> self._cluster_bits & self._l2_mask
        within = offset & (self._cluster_size - 1)
        entry, bitmap = table.entries[2 * index : 2 * index + 2]
        if entry & COMPRESSED and not self._image.is_external:
            return Mapping(MappingKind.SPECIAL, min(self._cluster_size - within, length))
        await self._check_pair(table, entry, bitmap, offset)
        kind, bits = kind_bits(bitmap, within // self._image.subcluster_size)
        run = self._run(table, offset, length, kind, bits)
        if kind is MappingKind.DATA:
            host = (entry & OFFSET_MASK) + within
            return Mapping(kind, min(run, length), self._data, host, self._in_place(entry, host, run))
        end = offset + length
        reached = min(offset + run, end)
        if kind is MappingKind.BACKING and reached < end and reached & ((1 << self._l1_shift) - 1) == 0:
            reached += self._unallocated(reached, end - reached)
        return Mapping(kind, reached - offset)

    def map_at_once(self, offset: int, length: int) -> Mapping | None:
        """Say nothing: a cluster may be there in part."""
        return None

    async def map_runs(self, offset: int, length: int) -> list[Mapping]:
        """Say where the range begins: a table's words are not runs that could be told from one another at once."""
        return [await self.map(offset, length)]

    def _run(self, table: L2Table, offset: int, length: int, kind: MappingKind, bits: int) -> int:
        """Return how many bytes hold the like, `length` or about so much at most.

        Args:
            table: The L2 table.
            offset: Guest offset where the run begins.
            length: Bytes after which it need not go on.
            kind: What the first subcluster holds.
            bits: Those of its cluster that hold the like.
        """
        unit, size = self._image.subcluster_size, self._cluster_size
        index = offset >> self._cluster_bits & self._l2_mask
        within = offset & (size - 1)
        wanted, first = within + length, within // unit
        reached = (first + leading_run(bits, first)) * unit
        if reached < size or wanted <= size:
            return reached - within
        last = min(index + (wanted - 1 >> self._cluster_bits), self._l2_mask)
        cluster = self._after_whole(table, index, last, kind)
        reached = (cluster - index) * size
        if cluster <= last:
            entry, bitmap = table.entries[2 * cluster : 2 * cluster + 2]
            like = kind_bits(bitmap, 0)
            if like[0] is kind and self._is_alike(
                table.entries[2 * index], entry, bitmap, kind, cluster - index
            ):
                reached += leading_run(like[1], 0) * unit
        return reached - within

    def _after_whole(self, table: L2Table, index: int, last: int, kind: MappingKind) -> int:
        """Return the first cluster after `index`, up to `last`, that does not go on with a run whole."""
        entries, size = table.entries, self._cluster_size
        whole = _WHOLE[kind]
        cluster, expected = index + 1, entries[2 * index] + size
        if kind is MappingKind.DATA:
            while cluster <= last and entries[2 * cluster] == expected and entries[2 * cluster + 1] == whole:
                cluster += 1
                expected += size
            return cluster
        wrong = COMPRESSED | self._unaligned
        while cluster <= last and entries[2 * cluster + 1] == whole and not entries[2 * cluster] & wrong:
            cluster += 1
        return cluster

    def _is_alike(self, entry: int, following: int, bitmap: int, kind: MappingKind, distance: int) -> bool:
        """Say whether a later cluster may go on with a run: what it says can be right, and lies in line."""
        if kind is MappingKind.DATA:
            return following == entry + distance * self._cluster_size and not bitmap >> 32 & bitmap
        return not following & (COMPRESSED | self._unaligned) and self._is_valid(following, bitmap)

    def _in_place(self, entry: int, host: int, run: int) -> bool:
        if not (entry & COPIED and self._image.writable):
            return False
        bits = self._cluster_bits
        return self._kinds.keys().isdisjoint(range(host >> bits, (host + run - 1 >> bits) + 1))

    def _is_valid(self, entry: int, bitmap: int) -> bool:
        """Say whether no subcluster is said to be two things, or to be where there is no room."""
        room = OFFSET_MASK | COPIED if self._image.is_external else OFFSET_MASK
        return not (bitmap >> SUBCLUSTERS & bitmap or (bitmap & ALL and not entry & room))

    async def _check_pair(self, table: L2Table, entry: int, bitmap: int, offset: int) -> None:
        if self._image.is_external or entry & self._unaligned:
            await self.check_entry(table, entry & ~1, offset)
        if not self._is_valid(entry, bitmap):
            index = offset >> self._cluster_bits & self._l2_mask
            # QEMU: two blanks.
            where = f"(L2 offset: {c_hex(table.offset)}, L2 index: {c_hex(index)})"
            raise await self._image.corrupt(f"Invalid cluster entry found  {where}")
