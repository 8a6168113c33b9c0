"""Say where guest ranges live in an image with extended L2 entries.

An entry is two words: one as in other images, and one with two bits for each of 32 subclusters. The low half
of the second says which are allocated, the high half which read as zeroes; neither means that the backing
file supplies it, whether or not the cluster has room for it.

Source: qcow2 specification, "Extended L2 Entries".
"""

from typing import Final

from qmpserver.driver_api.mapping import Mapping, MappingKind
from qmpserver.drivers.qcow2.entries import COMPRESSED, COPIED, OFFSET_MASK
from qmpserver.drivers.qcow2.image import Image, c_hex
from qmpserver.drivers.qcow2.mapping import Mapper
from qmpserver.drivers.qcow2.metadata import MetadataMap
from qmpserver.drivers.qcow2.tables import L2Table, L2Tables

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

    def __init__(self, image: Image, tables: L2Tables, metadata: MetadataMap) -> None:
        super().__init__(image, tables, metadata)
        # Of what an entry has some if its cluster has room; 0 is as good a place as any in an external data file.
        self._room = OFFSET_MASK | COPIED if image.is_external else OFFSET_MASK

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
        run = min(self._run(table, offset, length, kind, bits), length)
        if entry & self._room:
            host = (entry & OFFSET_MASK) + within
            in_place = kind is MappingKind.DATA and self._in_place(entry, host, run)
            return Mapping(kind, run, self._data, host, in_place)
        if kind is MappingKind.BACKING and run < length and offset + run & ((1 << self._l1_shift) - 1) == 0:
            run += self._unallocated(offset + run, length - run)
        return Mapping(kind, run)

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
        entries, whole = table.entries, _WHOLE[kind]
        mask, expected, step = self._line(entries[2 * index], kind)
        cluster = index + 1
        while (
            cluster <= last and entries[2 * cluster + 1] == whole and entries[2 * cluster] & mask == expected
        ):
            cluster += 1
            expected += step
        reached = (cluster - index) * size
        if cluster <= last:
            entry, bitmap = entries[2 * cluster : 2 * cluster + 2]
            like = kind_bits(bitmap, 0)
            if like[0] is kind and entry & mask == expected and self._is_valid(entry, bitmap):
                reached += leading_run(like[1], 0) * unit
        return reached - within

    def _line(self, entry: int, kind: MappingKind) -> tuple[int, int, int]:
        """Return what the next cluster's entry must be to go on with a run: in these bits this, and then so much more."""
        size = self._cluster_size
        if kind is MappingKind.DATA:
            return -1, entry + size, size
        if entry & self._room:
            mask = COMPRESSED | OFFSET_MASK
            return mask, (entry & mask) + size, size
        return COMPRESSED | self._room, 0, 0

    def _in_place(self, entry: int, host: int, run: int) -> bool:
        if not (entry & COPIED and self._image.writable):
            return False
        bits = self._cluster_bits
        return self._kinds.keys().isdisjoint(range(host >> bits, (host + run - 1 >> bits) + 1))

    def _is_valid(self, entry: int, bitmap: int) -> bool:
        """Say whether no subcluster is said to be two things, or to be where there is no room."""
        return not (bitmap >> SUBCLUSTERS & bitmap or (bitmap & ALL and not entry & self._room))

    async def _check_pair(self, table: L2Table, entry: int, bitmap: int, offset: int) -> None:
        if self._image.is_external or entry & self._unaligned:
            await self.check_entry(table, entry & ~1, offset)
        if not self._is_valid(entry, bitmap):
            index = offset >> self._cluster_bits & self._l2_mask
            # QEMU: two blanks.
            where = f"(L2 offset: {c_hex(table.offset)}, L2 index: {c_hex(index)})"
            raise await self._image.corrupt(f"Invalid cluster entry found  {where}")
