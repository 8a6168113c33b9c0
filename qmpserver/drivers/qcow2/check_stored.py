"""Read the stored reference counts, all of them, and say where their structures cannot be right.

Source: qcow2 specification, "Host cluster management".
"""

from array import array
from collections.abc import Iterable
from typing import Final

from qmpserver.drivers.qcow2.check_counts import LARGE, ClusterCounts
from qmpserver.drivers.qcow2.check_walk import TableWalker
from qmpserver.drivers.qcow2.entries import REFBLOCK_MASK
from qmpserver.drivers.qcow2.findings import Findings
from qmpserver.drivers.qcow2.image import Image
from qmpserver.drivers.qcow2.widths import RefcountWidth

MOST_OFFSET: Final = 1 << 63
_RESERVED: Final = 0x1FF


class StoredCounts:
    """What an image's refcount structures say.

    Args:
        image: The image.
        result: Where what is found is added up.
    """

    def __init__(self, image: Image, result: Findings) -> None:
        self._image = image
        self._result = result
        self.width = RefcountWidth(image.header.refcount_order)
        self.per_block = image.cluster_size * 8 // self.width.bits
        self.counts = ClusterCounts(0)
        self._table = array("Q")
        self.unreadable: list[range] = []
        """Clusters whose counts cannot be had."""
        self.is_broken = False
        """The structures cannot be mended where they are."""
        self.lies_outside = False
        """A block is said to be past the end of the file, where nothing is counted."""

    async def check_blocks(self, walker: TableWalker) -> None:
        """Count references to the refcount blocks, and judge the table's entries."""
        image, size = self._image, self._image.cluster_size
        header = image.header
        length = header.reftable_clusters * size
        self._table = await image.read_table(header.reftable_offset, length)
        clusters = len(walker.counts)
        for index, entry in enumerate(self._table):
            offset = entry & REFBLOCK_MASK
            cluster = offset >> image.cluster_bits
            if entry & _RESERVED or offset & (size - 1) or cluster >= clusters:
                self._result.add_corruption(f"ERROR refcount block {index} cannot be right: {entry:x}")
                self.is_broken |= bool(entry & _RESERVED or offset & (size - 1))
                self.lies_outside = True
            elif offset:
                self.is_broken |= walker.counts.get(cluster) != 0
                walker.add(offset, size)
                count = walker.counts.get(cluster)
                if count != 1:
                    self._result.add_corruption(f"ERROR refcount block {index} refcount={count}")

    async def read(self, clusters: int) -> None:
        """Read the counts of the first `clusters` clusters."""
        image, size = self._image, self._image.cluster_size
        self.counts = ClusterCounts(clusters)
        for index, entry in enumerate(self._table):
            first = index * self.per_block
            if first >= len(self.counts):
                return
            offset = entry & REFBLOCK_MASK
            if not self._is_readable(offset):
                self.unreadable.append(range(first, min(first + self.per_block, len(self.counts))))
            elif offset:
                self._enter(first, await image.read(offset, size))

    def _is_readable(self, offset: int) -> bool:
        """Say whether there can be a block at that host offset, 0 for none."""
        return offset < MOST_OFFSET and not offset & (self._image.cluster_size - 1)

    def _enter(self, first: int, block: bytearray) -> None:
        """Take over the counts of one block."""
        count = min(self.per_block, len(self.counts) - first)
        size = self.width.bits // 8
        if size:
            low = block[size - 1 :: size][:count]
            zeroes = bytes(self.per_block)
            if LARGE not in low and all(block[place::size] == zeroes for place in range(size - 1)):
                self.counts.small[first : first + count] = low
                return
        for place in range(count):
            value = self.width.get(block, place)
            if value:
                self.counts.put(first + place, value)

    async def count(self, cluster: int) -> int | None:
        """Return the count of any cluster; None when it cannot be had."""
        index, place = divmod(cluster, self.per_block)
        offset = self._table[index] & REFBLOCK_MASK if index < len(self._table) else 0
        if not self._is_readable(offset):
            return None
        if cluster < len(self.counts):
            return self.counts.get(cluster)
        return (
            self.width.get(await self._image.read(offset, self._image.cluster_size), place) if offset else 0
        )

    def lacks_block(self, changes: Iterable[tuple[int, int]]) -> bool:
        """Say whether there is no block for some of the clusters."""
        indexes = {cluster // self.per_block for cluster, _ in changes}
        return any(index >= len(self._table) or not self._table[index] for index in indexes)

    async def write(self, changes: list[tuple[int, int]]) -> None:
        """Store other counts, given as cluster and count in ascending order; there are blocks for all."""
        start = 0
        while start < len(changes):
            index = changes[start][0] // self.per_block
            offset = self._table[index] & REFBLOCK_MASK
            block = await self._image.read(offset, self._image.cluster_size)
            while start < len(changes) and changes[start][0] // self.per_block == index:
                cluster, count = changes[start]
                self.width.put(block, cluster % self.per_block, count)
                self.counts.put(cluster, count)
                start += 1
            await self._image.write(offset, block)
