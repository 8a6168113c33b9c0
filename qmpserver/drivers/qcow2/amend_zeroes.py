"""Do without zero clusters, which version 2 does not know: in the image as it is now and in all snapshots.

Source: qcow2 specification, "Standard Cluster Descriptor".
"""

from array import array
from collections import Counter

from qmpserver.drivers.qcow2.entries import COMPRESSED, COPIED, ENTRY_SIZE, OFFSET_MASK, ZERO
from qmpserver.drivers.qcow2.header import MAX_L1_BYTES
from qmpserver.drivers.qcow2.opening import OpenImage
from qmpserver.drivers.qcow2.snapshot_change import SnapshotChange, big_endian
from qmpserver.drivers.qcow2.snapshots import Snapshot, pack_table
from qmpserver.drivers.qcow2.switching import switch_to
from qmpserver.errors import QMPError


async def allocate_zeroes(parts: OpenImage) -> None:
    """Replace every zero cluster, by a cluster of zeroes where a backing file would show, else by nothing.

    A power cut leaves all of them or none.

    Raises:
        OSError: Something could not be read or written.
    """
    replacing = _Replacing(parts)
    await replacing.load()
    await replacing.replace_tables()
    if replacing.replaced:
        await replacing.finish()


class _Replacing:
    def __init__(self, parts: OpenImage) -> None:
        self._parts = parts
        self._image = parts.image
        self._change = SnapshotChange(parts.image)
        self._snapshots: list[tuple[Snapshot, array[int]]] = []
        self._users: Counter[int] = Counter()
        """How many L1 entries lead to each L2 table."""
        self.replaced: dict[int, int] = {}
        """Old and new host offset of each L2 table that had zero clusters."""

    async def load(self) -> None:
        """Read what leads to L2 tables."""
        await self._change.begin()
        trees = [self._parts.tables.l1]
        for entry in self._parts.snapshots.entries:
            length = min(entry.l1_entries * ENTRY_SIZE, MAX_L1_BYTES)
            trees.append(await self._image.read_table(entry.l1_offset, length))
            self._snapshots.append((entry, trees[-1]))
        for l1 in trees:
            self._users.update(entry & OFFSET_MASK for entry in l1 if entry & OFFSET_MASK)

    async def replace_tables(self) -> None:
        """Write those L2 tables anew that have zero clusters."""
        for offset, users in self._users.items():
            table = await self._image.read_table(offset, self._image.cluster_size)
            zeroes = [place for place, entry in enumerate(table) if entry & ZERO and not entry & COMPRESSED]
            if not zeroes:
                continue
            for place in zeroes:
                table[place] = await self._replacement(table[place], users)
            self.replaced[offset] = await self._change.store(big_endian(table))
            self._change.add_range(self.replaced[offset], 1, users - 1)
            self._change.add_range(offset, 1, -users)

    async def _replacement(self, entry: int, users: int) -> int:
        """Return what takes the place of a zero entry that so many L1 entries share."""
        if entry & OFFSET_MASK:
            self._change.add_range(entry & OFFSET_MASK, 1, -users)
        if not self._image.has_backing:
            return 0
        if self._image.encryption is not None:
            raise QMPError("Cannot downgrade an encrypted image with zero clusters over a backing file")
        offset = await self._change.store(bytes(self._image.cluster_size))
        self._change.add_range(offset, 1, users - 1)
        return offset | (COPIED if users == 1 else 0)

    def _lead_on(self, l1: "array[int]", *, active: bool) -> "array[int]":
        """Return an L1 table that leads to the new L2 tables."""
        return array("Q", (self._new_entry(entry, active=active) for entry in l1))

    def _new_entry(self, entry: int, *, active: bool) -> int:
        new = self.replaced.get(entry & OFFSET_MASK)
        if new is None:
            return entry
        return new | (COPIED if active and self._users[entry & OFFSET_MASK] == 1 else 0)

    async def finish(self) -> None:
        """Write the L1 tables and the snapshot table anew, and switch to everything at once."""
        change, header = self._change, self._image.header
        change.add_range(header.l1_offset, header.l1_entries * ENTRY_SIZE, -1)
        entries = []
        for entry, l1 in self._snapshots:
            change.add_range(entry.l1_offset, entry.l1_entries * ENTRY_SIZE, -1)
            new = await change.store(big_endian(self._lead_on(l1, active=False)))
            entries.append(entry._replace(l1_offset=new))
        fields = {}
        if entries:
            change.add_range(header.snapshot_offset, self._parts.snapshots.length, -1)
            fields["snapshot_offset"] = await change.store(pack_table(entries, header.size))
        fields["l1_offset"] = await change.store(
            big_endian(self._lead_on(self._parts.tables.l1, active=True))
        )
        await switch_to(self._parts, change, **fields)
