"""Walk mapping tables and count what they refer to.

Source: qcow2 specification, "Cluster mapping" and "Extended L2 Entries".
"""

import functools
import itertools
from array import array
from collections import Counter
from dataclasses import dataclass
from typing import Final

from qmpserver import tasks
from qmpserver.drivers.qcow2.check_bulk import BulkEntries, Runs, expects_many
from qmpserver.drivers.qcow2.check_counts import LARGE, ClusterCounts
from qmpserver.drivers.qcow2.check_spans import Span, SpanFinder
from qmpserver.drivers.qcow2.entries import (
    COMPRESSED,
    COPIED,
    ENTRY_SIZE,
    OFFSET_MASK,
    ZERO,
    compressed_extent,
)
from qmpserver.drivers.qcow2.findings import Findings
from qmpserver.drivers.qcow2.image import Image
from qmpserver.drivers.qcow2.subclusters import ALL, SUBCLUSTERS
from qmpserver.units import align_up

L1_RESERVED: Final = 0x7F00_0000_0000_01FF
L2_RESERVED: Final = 0x3F00_0000_0000_01FE
_MOST_SPANS: Final = 64
_MOST_ODD: Final = 64
"""Entries of a table that are looked at one by one when the others are not."""


@dataclass(frozen=True, slots=True)
class ActiveTable:
    """An L2 table of the active L1 table.

    Attributes:
        index: Its L1 entry's index.
        offset: Its host offset.
        runs: Where all its plain entries lead; None when these are too many places, or it has others as well.
    """

    index: int
    offset: int
    runs: Runs | None


class TableWalker:
    """Counts references and notes what cannot be right.

    Args:
        image: The image.
        maximum: The greatest count that the image's refcounts can hold.
        result: Where what is found is added up.
    """

    def __init__(self, image: Image, maximum: int, result: Findings) -> None:
        self._image = image
        self._maximum = maximum
        self._result = result
        self._bits = image.cluster_bits
        self._size = image.cluster_size
        self._clusters = align_up(image.child.size, self._size) >> self._bits
        self.counts = ClusterCounts(self._clusters)
        self.active: list[ActiveTable] = []
        self.unaligned_zeroes: set[tuple[int, int]] | None = None
        """Entries that read as zeroes, but have an offset that cannot be right: host offset of the table, and
        index.  None when they are not to be replaced."""
        self._tables: Counter[int] = Counter()
        """Host offsets of L2 tables, and how many L1 entries lead to each."""
        self.structures: set[int] = set()
        """The clusters of header, L1, refcount and snapshot tables: nothing else can rightly be there."""
        self._unusual = ZERO | COMPRESSED | L2_RESERVED | self._size - 1
        self._allocated = OFFSET_MASK | (COPIED if image.is_external else 0)
        self._finder = SpanFinder(self._size, self._unusual, self._allocated)
        self._next_host = 0
        self._mixed = 0
        self._walked = 0
        self._to_walk = 0

    def add(self, offset: int, length: int) -> bool:
        """Count one reference to each cluster of a host range; say whether it lies within the file."""
        if not length:
            return True
        end = offset + length
        if end - self._image.child.size >= self._size:
            self._result.add_corruption(
                "ERROR: counting reference for region exceeding the end of the file by one cluster or more: "
                f"offset {offset:#x} size {length:#x}"
            )
            return False
        first = offset >> self._bits
        self._count_run(first, (end - 1 >> self._bits) + 1 - first)
        return True

    def note_structure(self, offset: int, length: int) -> None:
        """Note what occupies a host range."""
        self.structures.update(range(offset >> self._bits, (offset + length - 1 >> self._bits) + 1))

    def _count_run(self, first: int, count: int) -> None:
        overflows = self.counts.raise_run(first, count, self._maximum)
        if overflows:
            self._result.add_corruption(
                f"ERROR: overflow of {overflows} reference counts from offset {first << self._bits:#x} on",
                overflows,
            )

    async def walk_l1(self, offset: int, count: int, *, active: bool) -> None:
        """Count what an L1 table refers to, itself included.

        Args:
            offset: Its host offset.
            count: Its entries.
            active: It maps what the image presents now; only such are looked at for fragmentation.
        """
        if not count:
            return
        self.add(offset, count * ENTRY_SIZE)
        await self.walk_l2_tables(await self._image.read_table(offset, count * ENTRY_SIZE), active=active)

    async def walk_l2_tables(self, l1: "array[int]", *, active: bool) -> None:
        """Count what the entries of an L1 table refer to."""
        self._to_walk += len(l1) - l1.count(0)
        for index, entry in enumerate(l1):
            if not entry:
                continue
            l2_offset = entry & OFFSET_MASK
            if entry & L1_RESERVED:
                self._result.add_corruption(f"ERROR L1 entry with reserved bits: {entry:x}")
            self.add(l2_offset, self._size)
            self._tables[l2_offset] += 1
            if l2_offset & (self._size - 1):
                self._result.add_corruption(f"ERROR L2 table at {l2_offset:#x} is not cluster aligned")
            runs = await self._walk_l2(l2_offset, active=active)
            self._walked += 1
            if active and l2_offset:
                self.active.append(ActiveTable(index, l2_offset, runs))

    async def _walk_l2(self, offset: int, *, active: bool) -> Runs | None:
        if offset >= self._image.child.size:
            # Nothing but zeroes is read there, and there may be millions of such entries.
            return ()
        entries = await self._image.read_table(offset, self._size)
        # Let others have their turn.
        await tasks.pause()
        if self._image.has_subclusters:
            entries = self._check_bitmaps(entries)
        self._next_host = 0
        if self._expects_many and self.bulk is not None and not self._image.is_external:
            odd = self.bulk.odd(entries, self._unusual, self._clusters)
            if len(odd) <= _MOST_ODD:
                return self._add_in_bulk(offset, entries, odd, active=active)
        runs: list[tuple[int, int, bool]] | None = []
        for span in self._finder.spans(entries):
            if span.is_run:
                self._add_run(entries[span.start], span.end - span.start, active=active)
                if runs is not None:
                    first = (entries[span.start] & OFFSET_MASK) >> self._bits
                    runs.append((first, span.end - span.start, entries[span.start] >= COPIED))
            else:
                self._add_mixed(offset, entries, span, active=active)
                self._mixed += span.end - span.start
                runs = None
            if runs is not None and len(runs) > _MOST_SPANS:
                runs = None
        return tuple(runs) if runs is not None else None

    def _check_bitmaps(self, words: "array[int]") -> "array[int]":
        """Note subclusters that are said to be what their cluster does not allow, or two things at once.

        Returns:
            The entries without the bitmaps, and without those that cannot be made sense of.
        """
        entries, bitmaps = words[::2], words[1::2]
        if not any(bitmaps):
            return entries
        for index, bitmap in enumerate(bitmaps):
            if not bitmap:
                continue
            entry = entries[index]
            if entry & COMPRESSED:
                self._result.add_corruption(
                    f"ERROR compressed cluster with subclusters: {entry:x}", 1 + (entry >= COPIED)
                )
                entries[index] = 0
            else:
                wrong = bitmap & bitmap >> SUBCLUSTERS if entry & self._allocated else bitmap & ALL
                if wrong:
                    self._result.add_corruption(
                        f"ERROR subclusters that cannot be so: entry {entry:x} bitmap {bitmap:x}"
                    )
        return entries

    def _add_run(self, entry: int, count: int, *, active: bool) -> None:
        host = entry & OFFSET_MASK
        if active:
            self._result.allocated_clusters += count
            self._result.fragmented_clusters += self._next_host not in {0, host}
            self._next_host = host + count * self._size
        first = host >> self._bits
        if self._image.is_external:
            return
        inside = min(max(self._clusters - first, 0), count)
        if count > inside:
            outside = max(first, self._clusters) << self._bits
            self._result.add_corruption(
                f"ERROR: data clusters past the end of the file: offset {outside:#x}", count - inside
            )
        if inside:
            self._count_run(first, inside)

    def _add_in_bulk(self, table: int, entries: "array[int]", odd: list[int], *, active: bool) -> Runs | None:
        """Count what the entries of a table refer to, of which only the `odd` ones are looked at one by one."""
        runs = self._add_stretch(
            table, entries, Span(0, min(odd, default=len(entries)), is_run=False), active=active
        )
        for index, after in itertools.pairwise((*odd, len(entries))):
            self._add_mixed(table, entries, Span(index, index + 1, is_run=False), active=active)
            self._add_stretch(table, entries, Span(index + 1, after, is_run=False), active=active)
        return None if odd else runs

    @property
    def _expects_many(self) -> bool:
        return expects_many(self._mixed, self._walked, self._to_walk)

    @functools.cached_property
    def bulk(self) -> BulkEntries | None:
        """What looks at many entries at once, if there is such; loaded when there are many that are no runs."""
        return BulkEntries.load(self._bits) if self._expects_many else None

    def _add_stretch(self, table: int, entries: "array[int]", span: Span, *, active: bool) -> Runs | None:
        """Count what plain entries refer to, and return where that is; see :class:`ActiveTable`."""
        assert self.bulk is not None
        part = entries[span.start : span.end]
        counted = self.bulk.count(part, self.counts, self._maximum, self._next_host)
        if counted is None:
            self._add_mixed(table, entries, span, active=active)
            return None
        self._next_host = counted.next_host
        self._mixed += counted.fragmented
        if active:
            self._result.allocated_clusters += counted.allocated
            self._result.fragmented_clusters += counted.fragmented
        return counted.runs

    def _add_mixed(self, table: int, entries: "array[int]", span: Span, *, active: bool) -> None:
        small, bits = self.counts.small, self._bits
        unusual = -1 if self._image.is_external else self._unusual
        most = min(LARGE - 1, self._maximum)
        allocated = fragmented = compressed = 0
        for index in range(span.start, span.end):
            entry = entries[index]
            if not entry:
                continue
            host = entry & OFFSET_MASK
            cluster = host >> bits
            if entry & unusual or cluster >= self._clusters or small[cluster] >= most:
                allocated_here, fragmented_here = self._add_unusual(table, index, entry)
                allocated += allocated_here
                fragmented += fragmented_here
                compressed += bool(allocated_here and entry & COMPRESSED)
                continue
            if not host:
                continue
            allocated += 1
            fragmented += self._next_host not in {0, host}
            self._next_host = host + self._size
            small[cluster] += 1
        if active:
            self._result.allocated_clusters += allocated
            self._result.fragmented_clusters += fragmented
            self._result.compressed_clusters += compressed

    def _add_unusual(self, table: int, index: int, entry: int) -> tuple[int, int]:
        """Count an entry by all the rules; say how many clusters are allocated by it, and fragmented."""
        if self._image.is_external:
            return (0, 0) if self._is_replaced(table, index, entry) else self._add_external(entry)
        if entry & COMPRESSED:
            return self._add_compressed(entry)
        host = entry & OFFSET_MASK
        if self._is_replaced(table, index, entry):
            return 0, 0
        self._check_reserved(entry)
        if not host:
            return 0, 0
        fragmented = self._next_host not in {0, host}
        self._next_host = host + self._size
        self.add(host, self._size)
        self._check_aligned(host)
        return 1, fragmented

    def _check_reserved(self, entry: int) -> None:
        if entry & L2_RESERVED:
            self._result.add_corruption(f"ERROR L2 entry with reserved bits: {entry:x}")

    def _check_aligned(self, host: int) -> None:
        if host & (self._size - 1):
            self._result.add_corruption(f"ERROR data cluster at offset {host:#x} is not cluster aligned")

    def _is_replaced(self, table: int, index: int, entry: int) -> bool:
        """Say whether the entry reads as zeroes, whatever its offset, and is to lead nowhere from now on."""
        is_unaligned = entry & ZERO and entry & OFFSET_MASK & (self._size - 1) and not entry & COMPRESSED
        if self._image.has_subclusters:
            # The bit means nothing there.
            return False
        if self.unaligned_zeroes is None or not is_unaligned or not self.is_alone(table):
            return False
        self.unaligned_zeroes.add((table, index))
        return True

    def is_alone(self, table: int) -> bool:
        """Say whether an L2 table at that host offset can be written without harm to another structure."""
        return not table & (self._size - 1) and table >> self._bits not in self.structures

    def is_only_table(self, table: int) -> bool:
        """Say, when all is counted, whether nothing but L1 entries leads to the L2 table at that host offset."""
        return self.counts.get(table >> self._bits) == self._tables[table]

    def _add_external(self, entry: int) -> tuple[int, int]:
        """Look at an entry whose data is in another file, where nothing is counted."""
        if entry & COMPRESSED:
            self._result.add_corruption(
                f"ERROR compressed cluster with an external data file: {entry:x}", 1 + (entry >= COPIED)
            )
            return 0, 0
        self._check_reserved(entry)
        host = entry & OFFSET_MASK
        is_zero = entry & ZERO and not self._image.has_subclusters
        if not host and (is_zero or not entry & COPIED):
            return 0, 0
        fragmented = self._next_host not in {0, host}
        self._next_host = host + self._size
        self._check_aligned(host)
        return 1, fragmented

    def _add_compressed(self, entry: int) -> tuple[int, int]:
        if entry >= COPIED:
            self._result.add_corruption(f"ERROR compressed cluster with the COPIED flag: {entry:x}")
        self.add(*compressed_extent(entry, self._bits))
        return 1, 1
