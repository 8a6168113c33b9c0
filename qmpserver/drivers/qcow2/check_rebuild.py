"""Make all refcount structures anew, beside the old ones, and then switch to them in one step.

Source: qcow2 specification, "Host cluster management".
"""

from array import array

from qmpserver.drivers.qcow2.check_counts import LARGE, ClusterCounts
from qmpserver.drivers.qcow2.entries import ENTRY_SIZE
from qmpserver.drivers.qcow2.image import Image
from qmpserver.drivers.qcow2.widths import RefcountWidth


async def rebuild_refcounts(
    image: Image, counts: ClusterCounts, taken: ClusterCounts, **header_changes: int
) -> None:
    """Store reference counts in new blocks that a new table names.

    A power cut leaves the old structures or the new.

    Args:
        image: The image.
        counts: What is to be stored; the new structures are added to it.
        taken: Clusters counted here are not written to: the old structures are among them.
        header_changes: Header fields that change in the same step.

    Raises:
        OSError: Something could not be written; the old structures stand.
    """
    order = header_changes.get("refcount_order", image.header.refcount_order)
    rebuilding = _Rebuilding(image, counts, taken, RefcountWidth(order))
    rebuilding.place()
    await rebuilding.write(header_changes)


class _Rebuilding:
    def __init__(
        self, image: Image, counts: ClusterCounts, taken: ClusterCounts, width: RefcountWidth
    ) -> None:
        self._image = image
        self._counts = counts
        self._taken = taken
        self._width = width
        self._per_block = image.cluster_size * 8 // self._width.bits
        self._blocks: dict[int, int] = {}
        """Where each block goes: table index to cluster."""
        self._table = 0
        self._table_clusters = 0
        self._next = 0

    def _take(self, cluster: int) -> int:
        self._counts.put(cluster, 1)
        self._taken.put(cluster, 1)
        return cluster

    def place(self) -> None:
        """Find room for every block that is needed, those that count new structures included."""
        self._place_blocks()
        self._place_table()
        while self._place_blocks():
            if max(self._blocks) >= self._table_clusters * self._image.cluster_size // ENTRY_SIZE:
                self._place_table()

    def _place_blocks(self) -> bool:
        """Place the blocks that are missing; say whether there were any."""
        counts, missing = self._counts.small, []
        for index in range(-(-len(counts) // self._per_block)):
            first = index * self._per_block
            end = min(first + self._per_block, len(counts))
            if index not in self._blocks and counts.count(0, first, end) < end - first:
                missing.append(index)
        for index in missing:
            self._next = self._taken.find_free(self._next)
            self._blocks[index] = self._take(self._next)
        return bool(missing)

    def _place_table(self) -> None:
        """Place the table, with room for the blocks that it will itself need if it comes to lie at the end."""
        for cluster in range(self._table, self._table + self._table_clusters):
            self._counts.put(cluster, 0)
        end = max(self._taken.last_used(), self._counts.last_used()) + 1
        entries = max(end // self._per_block, *self._blocks, 0) + 2
        self._table_clusters = -(-entries * ENTRY_SIZE // self._image.cluster_size)
        hole = self._taken.small.find(bytes(self._table_clusters))
        self._table = hole if hole >= 0 else end
        for cluster in range(self._table, self._table + self._table_clusters):
            self._take(cluster)

    async def write(self, header_changes: dict[str, int]) -> None:
        """Write the blocks and the table, and make the header lead to them."""
        image, bits = self._image, self._image.cluster_bits
        for index, cluster in self._blocks.items():
            await image.write(cluster << bits, self._packed(index))
        table = array("Q", bytes(self._table_clusters << bits))
        for index, cluster in self._blocks.items():
            table[index] = cluster << bits
        table.byteswap()
        await image.write(self._table << bits, table.tobytes())
        await image.child.flush()
        await image.update_header(
            reftable_offset=self._table << bits, reftable_clusters=self._table_clusters, **header_changes
        )
        await image.child.flush()

    def _packed(self, index: int) -> bytearray:
        """Return one block as it is stored."""
        block = bytearray(self._image.cluster_size)
        first = index * self._per_block
        part = self._counts.small[first : first + self._per_block]
        size = self._width.bits // 8
        if size and LARGE not in part:
            block[size - 1 :: size] = part.ljust(self._per_block, b"\0")
            return block
        for place, small in enumerate(part):
            if small:
                self._width.put(block, place, self._counts.get(first + place))
        return block
