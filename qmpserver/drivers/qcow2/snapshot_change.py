"""Change the tables of an image as a whole, beside the old ones, and then switch to them in one step.

A snapshot shares every cluster of the present state, so taking, applying or deleting one changes the reference
counts, and the COPIED flags that must agree with them, all over the image.  The tables whose flags change are
written to new places, and so are all reference counts; the header, which fits into one sector, leads to all of
that at once.  So a power cut leaves the old state or the new, each with nothing wrong.

Source: qcow2 specification, "Snapshots" and "Cluster mapping".
"""

import contextlib
import errno
import os
from array import array
from collections.abc import Iterator

from qmpserver.drivers.qcow2.check_counts import ClusterCounts
from qmpserver.drivers.qcow2.check_rebuild import rebuild_refcounts
from qmpserver.drivers.qcow2.check_spans import SpanFinder
from qmpserver.drivers.qcow2.check_stored import StoredCounts
from qmpserver.drivers.qcow2.check_walk import L2_RESERVED, TableWalker
from qmpserver.drivers.qcow2.entries import COMPRESSED, COPIED, OFFSET_MASK, ZERO
from qmpserver.drivers.qcow2.findings import Findings
from qmpserver.drivers.qcow2.image import Image
from qmpserver.drivers.qcow2.widths import RefcountWidth
from qmpserver.units import align_up


def big_endian(entries: "array[int]") -> bytes:
    """Return a table as stored."""
    swapped = array("Q", entries)
    swapped.byteswap()
    return swapped.tobytes()


def _damaged() -> OSError:
    return OSError(errno.EIO, os.strerror(errno.EIO))


class SnapshotChange:
    """One change, from the reference counts as they are stored.

    Args:
        image: The image, of which nothing is cached that is not on disk.
    """

    def __init__(self, image: Image) -> None:
        self._image = image
        self._bits = image.cluster_bits
        self._maximum = RefcountWidth(image.header.refcount_order).maximum
        self._counts = ClusterCounts(0)
        self._taken = ClusterCounts(0)
        self._finder = SpanFinder(
            image.cluster_size, ZERO | COMPRESSED | L2_RESERVED | image.cluster_size - 1, OFFSET_MASK
        )
        self._old = b""
        self._next = 0

    async def begin(self) -> None:
        """Read every stored reference count.

        Raises:
            OSError: The refcount structures cannot be relied on.
        """
        image = self._image
        found = Findings()
        structures = TableWalker(image, self._maximum, found)
        stored = StoredCounts(image, found)
        header = image.header
        structures.add(header.reftable_offset, header.reftable_clusters * image.cluster_size)
        await stored.check_blocks(structures)
        await stored.read(align_up(image.child.size, image.cluster_size) >> self._bits)
        if stored.is_broken or found.corruptions:
            raise _damaged()
        self._counts = stored.counts
        self._taken = stored.counts.copy()
        self._old = bytes(stored.counts.small)
        self._counts.shift(structures.counts, -1)

    async def add_tree(self, l1: "array[int]", sign: int) -> None:
        """Count once more, or once less, everything that an L1 table refers to.

        Raises:
            OSError: EINVAL when a count would not fit its width, EIO when the tables are damaged.
        """
        found = Findings()
        walker = TableWalker(self._image, (1 << 64) - 1, found)
        await walker.walk_l2_tables(l1, active=False)
        highest = self._counts.shift(walker.counts, sign)
        if found.corruptions or highest < 0:
            raise _damaged()
        if highest > self._maximum:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def add_range(self, offset: int, length: int, sign: int) -> None:
        """Count each cluster of a host range so many times more, or less.

        Raises:
            OSError: EIO when it is not counted so often, or cannot be right.
        """
        if not length:
            return
        if offset & (self._image.cluster_size - 1):
            raise _damaged()
        for cluster in range(offset >> self._bits, (offset + length - 1 >> self._bits) + 1):
            count = self._counts.get(cluster) + sign
            if count < 0:
                raise _damaged()
            self._counts.put(cluster, count)

    async def store(self, data: bytes) -> int:
        """Write a structure to where nothing is, count it once, and return its host offset; 0 for nothing."""
        count = -(-len(data) >> self._bits) if data else 0
        if not count:
            return 0
        first = self._find(count)
        for cluster in range(first, first + count):
            self._counts.put(cluster, 1)
            self._taken.put(cluster, 1)
        await self._image.write(first << self._bits, data.ljust(count << self._bits, b"\0"))
        return first << self._bits

    def _find(self, count: int) -> int:
        """Return the first of so many clusters side by side that neither the old nor the new state uses."""
        if count == 1:
            self._next = self._taken.find_free(self._next)
            return self._next
        found = self._taken.small.find(bytes(count))
        return found if found >= 0 else self._taken.last_used() + 1

    def count(self, offset: int) -> int:
        """Return how often the cluster at a host offset will be counted."""
        return self._counts.get(offset >> self._bits)

    def first_above(self, maximum: int) -> int | None:
        """Return the host offset of the first cluster that is counted more often than that, if any."""
        found = self._counts.first_above(maximum)
        return None if found is None else found << self._bits

    async def settle(self, l1: "array[int]", users: int = 1) -> "array[int]":
        """Bring the COPIED flags of a tree into line with the counts as they are now.

        Args:
            l1: Its L1 table.
            users: How many L1 tables will lead to its L2 tables: those with wrong flags are replaced for all.

        Returns:
            The L1 table that leads to the right L2 tables.
        """
        settled = array("Q", l1)
        for index, entry in enumerate(l1):
            offset = entry & OFFSET_MASK
            if not offset:
                continue
            if offset & (self._image.cluster_size - 1):
                raise _damaged()
            table = await self._image.read_table(offset, self._image.cluster_size)
            if self._correct_flags(table):
                self.add_range(offset, 1, -users)
                offset = await self.store(big_endian(table))
                self.add_range(offset, 1, users - 1)
            settled[index] = offset | (COPIED if self._counts.get(offset >> self._bits) == 1 else 0)
        return settled

    def _correct_flags(self, table: "array[int]") -> bool:
        """Correct the flags in an L2 table; say whether any was wrong."""
        if self._image.has_subclusters:
            return self._correct_each(table, range(0, len(table), self._image.entry_words))
        changed = False
        for start, end, is_run in self._finder.spans(table):
            if is_run:
                changed |= self._correct_run(table, start, end)
            else:
                changed |= self._correct_each(table, range(start, end))
        return changed

    def _correct_run(self, table: "array[int]", start: int, end: int) -> bool:
        """Do the same for entries that are in line and have the same flag."""
        entry, count = table[start], end - start
        is_copied, first = entry >= COPIED, (entry & OFFSET_MASK) >> self._bits
        if first + count > len(self._counts):
            raise _damaged()
        single = self._counts.small.count(1, first, first + count)
        if single == (count if is_copied else 0):
            return False
        if single != (0 if is_copied else count):
            return self._correct_each(table, range(start, end))
        flipped, size = entry ^ COPIED, self._image.cluster_size
        table[start:end] = array("Q", range(flipped, flipped + count * size, size))
        return True

    def _correct_each(self, table: "array[int]", places: range) -> bool:
        small, bits, changed = self._counts.small, self._bits, False
        for place in places:
            entry = table[place]
            if entry & COMPRESSED or not entry & OFFSET_MASK:
                continue
            cluster = (entry & OFFSET_MASK) >> bits
            if cluster >= len(small):
                raise _damaged()
            # A count over 254 is not held in `small`, but neither is it 1.
            if (entry >= COPIED) != (small[cluster] == 1):
                table[place] ^= COPIED
                changed = True
        return changed

    async def switch(self, **header: int) -> None:
        """Bring everything to stable storage, then make these header fields and the counts the valid ones."""
        await rebuild_refcounts(self._image, self._counts, self._taken, **header)

    async def discard_freed(self) -> None:
        """Give back to the file below, after the switch, what only the old state used."""
        small = self._counts.small
        freed = [cluster for cluster in self._old_used() if cluster >= len(small) or not small[cluster]]
        start = 0
        for end in range(1, len(freed) + 1):
            if end == len(freed) or freed[end] != freed[end - 1] + 1:
                # A favour: that it cannot be done costs space only.
                with contextlib.suppress(OSError):
                    await self._image.child.pdiscard(freed[start] << self._bits, end - start << self._bits)
                start = end

    def _old_used(self) -> Iterator[int]:
        return (cluster for cluster, count in enumerate(self._old) if count)
