"""Say where guest ranges live.

Source: qcow2 specification, "Cluster mapping".
"""

from array import array
from collections.abc import Sequence
from typing import Protocol

from qmpserver.driver_api.mapping import Mapping, MappingKind
from qmpserver.drivers.qcow2.entries import COMPRESSED, COPIED, OFFSET_MASK, ZERO
from qmpserver.drivers.qcow2.image import Image, c_hex
from qmpserver.drivers.qcow2.metadata import MetadataMap
from qmpserver.drivers.qcow2.ramps import Ramps
from qmpserver.drivers.qcow2.tables import L2Table, L2Tables
from qmpserver.tasks import is_without_loop

_DATA = MappingKind.DATA
_L1_STEP = 4096
_RAMP_FROM = 64
"""Shorter stretches are looked at entry by entry."""

_ZEROES = bytes(_L1_STEP * 8)


class RangeMapper(Protocol):
    """What says where guest ranges live."""

    async def map(self, offset: int, length: int) -> Mapping:
        """Say where the range begins; see :meth:`MappingDriver.map`."""

    def map_at_once(self, offset: int, length: int) -> Mapping | None:
        """Say where the range lies; see :meth:`MappingDriver.map_at_once`."""

    async def map_runs(self, offset: int, length: int) -> Sequence[Mapping]:
        """Say where the range lives; see :meth:`MappingDriver.map_runs`."""


class Mapper:
    """The map of one image.

    Args:
        image: The image.
        tables: Its tables.
        metadata: Where its structures are.
    """

    def __init__(self, image: Image, tables: L2Tables, metadata: MetadataMap) -> None:
        self._image = image
        self._tables = tables
        self._cached = tables.cached
        self._data = image.data
        self._kinds = metadata.kinds if not image.is_external else {}
        self._cluster_bits = image.cluster_bits
        self._cluster_size = image.cluster_size
        self._l1_shift = image.cluster_bits + image.l2_bits
        self._l2_mask = image.l2_entries - 1
        self._ramps = Ramps(image.cluster_size)
        self._unaligned = OFFSET_MASK & (image.cluster_size - 1)
        # The host offset 0 is as good as any in an external data file, so no entry there is simple.
        self._not_plain = -1 if image.is_external else COMPRESSED | ZERO | self._unaligned

    async def map(self, offset: int, length: int) -> Mapping:
        """Say where the range begins; see :meth:`MappingDriver.map`."""
        mapping = self.map_at_once(offset, length)
        if mapping is not None:
            return mapping
        table = self._cached.get(offset >> self._l1_shift)
        if table is None:
            return await self._map_uncached(offset, length)
        entry = table.entries[offset >> self._cluster_bits & self._l2_mask]
        return await self._map_other(table, entry, offset, length)

    def map_at_once(self, offset: int, length: int) -> Mapping | None:
        """Say where plain clusters begin that lie side by side, if their table is cached."""
        table = self._cached.get(offset >> self._l1_shift)
        if table is None:
            return None
        table.used = True
        bits = self._cluster_bits
        entry = table.entries[offset >> bits & self._l2_mask]
        host = entry & OFFSET_MASK
        within = offset & (self._cluster_size - 1)
        if not host or entry & self._not_plain:
            return None
        if self._cluster_size - within < length:
            return self._map_data(table, offset, length)
        in_place = entry >> 63 == 1 and host >> bits not in self._kinds and self._image.writable
        return Mapping(_DATA, length, self._data, host + within, in_place)

    async def _map_uncached(self, offset: int, length: int) -> Mapping:
        self._image.check_sound()
        table = await self._tables.get(offset >> self._l1_shift)
        if table is None:
            return Mapping(MappingKind.BACKING, self._unallocated(offset, length))
        entry = table.entries[offset >> self._cluster_bits & self._l2_mask]
        if entry & OFFSET_MASK and not entry & self._not_plain:
            return self._map_data(table, offset, length)
        return await self._map_other(table, entry, offset, length)

    async def map_runs(self, offset: int, length: int) -> list[Mapping]:
        """Say where the range lives, as far as one table tells; see :meth:`MappingDriver.map_runs`."""
        runs = [await self.map(offset, length)]
        end = min(offset + length, (offset >> self._l1_shift) + 1 << self._l1_shift)
        position = offset + runs[0].length
        table = self._cached.get(offset >> self._l1_shift)
        while table is not None and position < end:
            position += self._add_plain(table, position, end - position, runs)
            if position < end:
                runs.append(await self.map(position, end - position))
                position += runs[-1].length
        if end < offset + length and is_without_loop():
            # A tool that looks at more than a table at a time does not come back.
            self._tables.keep_few()
        return runs

    def _add_plain(self, table: L2Table, offset: int, length: int, runs: list[Mapping]) -> int:
        """Add the plain clusters that begin at `offset`, run by run; return how many bytes they are."""
        size, not_plain, data = self._cluster_size, self._not_plain, self._data
        first = start = offset >> self._cluster_bits & self._l2_mask
        end = start + length // size
        entries = table.entries
        while start < end:
            entry = entries[start]
            host = entry & OFFSET_MASK
            if not host or entry & not_plain:
                break
            run = 1
            if start + 1 < end and entries[start + 1] == entry + size:
                run = self._consecutive(entries, start, end - start)
            runs.append(Mapping(_DATA, run * size, data, host))
            start += run
        return (start - first) * size

    def _consecutive(self, entries: "array[int]", first: int, wanted: int) -> int:
        """Return how many entries from `first` on, at most `wanted`, lead to clusters side by side, shared alike."""
        size = self._cluster_size
        run, expected = 1, entries[first] + size
        step = wanted - 1
        while step >= _RAMP_FROM:
            if run + step <= wanted and self._ramps.is_ramp(entries, first + run - 1, step + 1):
                run += step
                expected += step * size
                if run == wanted:
                    return run
            step >>= 1
        while run < wanted and entries[first + run] == expected:
            run += 1
            expected += size
        return run

    def _map_data(self, table: L2Table, offset: int, length: int) -> Mapping:
        """Map a run of plain clusters that lie side by side and are shared alike."""
        size, bits = self._cluster_size, self._cluster_bits
        within = offset & (size - 1)
        first = offset >> bits & self._l2_mask
        entry = table.entries[first]
        wanted = min(within + length + size - 1 >> bits, self._l2_mask + 1 - first)
        run = self._consecutive(table.entries, first, wanted)
        host = entry & OFFSET_MASK
        in_place = bool(entry & COPIED) and self._image.writable
        if in_place:
            in_place = self._kinds.keys().isdisjoint(range(host >> bits, (host >> bits) + run))
        return Mapping(_DATA, min(run * size - within, length), self._data, host + within, in_place)

    async def _map_other(self, table: L2Table, entry: int, offset: int, length: int) -> Mapping:
        self._image.check_sound()
        within = offset & (self._cluster_size - 1)
        if entry & COMPRESSED and not self._image.is_external:
            return Mapping(MappingKind.SPECIAL, min(self._cluster_size - within, length))
        await self.check_entry(table, entry, offset)
        if entry & ZERO:
            return self._map_zero(table, entry, offset, length)
        if self._image.is_external and entry & (OFFSET_MASK | COPIED):
            return self._map_data(table, offset, length)
        end = offset + length
        reached = offset + self._alike(table, offset, length, COMPRESSED | ZERO | OFFSET_MASK, 0)
        if reached < end and reached & ((1 << self._l1_shift) - 1) == 0:
            reached += self._unallocated(reached, end - reached)
        return Mapping(MappingKind.BACKING, reached - offset)

    def _map_zero(self, table: L2Table, entry: int, offset: int, length: int) -> Mapping:
        """Map a run of zero clusters: those that have room, side by side, or those that have none."""
        host = entry & OFFSET_MASK
        if not host:
            mask = COMPRESSED | ZERO | OFFSET_MASK
            return Mapping(MappingKind.ZERO, self._alike(table, offset, length, mask, ZERO))
        size, bits = self._cluster_size, self._cluster_bits
        within = offset & (size - 1)
        first = offset >> bits & self._l2_mask
        wanted = min(within + length + size - 1 >> bits, self._l2_mask + 1 - first)
        run = self._consecutive(table.entries, first, wanted)
        return Mapping(MappingKind.ZERO, min(run * size - within, length), self._data, host + within)

    def _alike(self, table: L2Table, offset: int, length: int, mask: int, value: int) -> int:
        """Return how many bytes from `offset` on, inside one table, have entries with the same bits."""
        size, bits = self._cluster_size, self._cluster_bits
        within = offset & (size - 1)
        first = offset >> bits & self._l2_mask
        wanted = min(within + length + size - 1 >> bits, self._l2_mask + 1 - first)
        mask |= self._unaligned
        run = 1
        entries = table.entries
        while run < wanted and entries[first + run] & mask == value:
            run += 1
        return min(run * size - within, length)

    def _unallocated(self, offset: int, length: int) -> int:
        """Return how many bytes from `offset` on have no table at all, at most `length`."""
        l1, shift, end = self._tables.l1, self._l1_shift, offset + length
        index, last = offset >> shift, end - 1 >> shift
        if self._tables.exists(index):
            return 0
        unwritten = [new for new in self._cached if index < new <= last and not l1[new] & OFFSET_MASK]
        last = min(unwritten, default=last + 1) - 1
        while index <= last:
            part = l1[index : min(index + _L1_STEP, last + 1)]
            if part.tobytes() == _ZEROES[: len(part) * 8]:
                index += len(part)
                continue
            index += next((place for place, entry in enumerate(part) if entry & OFFSET_MASK), len(part))
            if index <= last and l1[index] & OFFSET_MASK:
                break
        return min(index << shift, end) - offset

    async def check_entry(self, table: L2Table, entry: int, offset: int) -> None:
        """Refuse an uncompressed entry that cannot be right.

        Raises:
            CorruptImage: It cannot; the image is now marked as corrupt if it is writable.
        """
        is_external = self._image.is_external
        if not entry & (self._unaligned | ZERO) and not is_external:
            return
        index = offset >> self._cluster_bits & self._l2_mask
        where = f"(L2 offset: {c_hex(table.offset)}, L2 index: {c_hex(index)})"
        if entry & ZERO and self._image.header.version < 3:
            raise await self._image.corrupt(f"Zero cluster entry found in pre-v3 image {where}")
        if entry & self._unaligned:
            host = entry & OFFSET_MASK
            raise await self._image.corrupt(f"Cluster allocation offset {c_hex(host)} unaligned {where}")
        if is_external and entry & (OFFSET_MASK | COPIED | COMPRESSED):
            await self._check_external(entry, offset, where)

    async def _check_external(self, entry: int, offset: int, where: str) -> None:
        if entry & COMPRESSED:
            message = f"Compressed cluster entry found in image with external data file {where}"
            raise await self._image.corrupt(message)
        host, guest = entry & OFFSET_MASK, offset & -self._cluster_size
        if host != guest and not entry & ZERO:
            index = offset >> self._cluster_bits & self._l2_mask
            raise await self._image.corrupt(
                f"External data file host cluster offset {c_hex(host)} does not match guest cluster offset: "
                f"{c_hex(guest)}, L2 index: {c_hex(index)})"
            )
