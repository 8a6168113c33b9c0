"""Take, apply, delete and load internal snapshots.

Source: qcow2 specification, "Snapshots".
"""

import errno
import os
from array import array

from qmpserver.driver_api.extras import SnapshotInfo
from qmpserver.drivers.qcow2.entries import COPIED, ENTRY_SIZE
from qmpserver.drivers.qcow2.header import MAX_L1_BYTES, MAX_SNAPSHOTS
from qmpserver.drivers.qcow2.opening import OpenImage
from qmpserver.drivers.qcow2.snapshot_change import SnapshotChange, big_endian
from qmpserver.drivers.qcow2.snapshot_vm_state import read_tree, vm_state_index
from qmpserver.drivers.qcow2.snapshots import MAX_TABLE_BYTES, NO_ICOUNT, Snapshot, pack_table
from qmpserver.drivers.qcow2.switching import switch_to
from qmpserver.units import SECTOR_SIZE


def describe(snapshot: Snapshot) -> SnapshotInfo:
    """Return what is told of a snapshot."""
    return SnapshotInfo(
        snapshot_id=snapshot.snapshot_id,
        name=snapshot.name,
        vm_state_size=snapshot.vm_state_size,
        date_sec=snapshot.date_sec,
        date_nsec=snapshot.date_nsec,
        vm_clock_ns=snapshot.vm_clock_ns,
        icount=None if snapshot.icount == NO_ICOUNT else snapshot.icount,
    )


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


class SnapshotActions:
    """What can be done with the snapshots of one open image.

    Args:
        parts: The image.  Nothing uses it meanwhile, and everything of it is on disk.
    """

    def __init__(self, parts: OpenImage) -> None:
        self._parts = parts
        self._image = parts.image

    def _find(self, snapshot_id: str | None, name: str | None) -> Snapshot:
        found = self._parts.snapshots.find(snapshot_id, name)
        if found is None:
            raise _error(errno.ENOENT)
        return found

    def _check_usable(self) -> None:
        self._image.check_sound()
        if self._image.is_external:
            raise _error(errno.ENOTSUP)

    async def create(self, wanted: SnapshotInfo) -> None:
        """Take a snapshot; see :meth:`SupportsSnapshots.create_snapshot`."""
        self._check_usable()
        table = self._parts.snapshots
        if wanted.snapshot_id and table.find(wanted.snapshot_id, None) is not None:
            raise _error(errno.EEXIST)
        if len(table.entries) >= MAX_SNAPSHOTS:
            raise _error(errno.EFBIG)
        header = self._image.header
        change = await self._begin()
        self._drop_active_l1(change)
        # The machine's state passes over to the snapshot; the disk is shared.
        first = vm_state_index(self._image, header.size)
        disk, state = self._parts.tables.l1[:first], self._parts.tables.l1[first:]
        await change.add_tree(disk, 1)
        disk = array("Q", (entry & ~COPIED for entry in await change.settle(disk, users=2)))
        kept, active = disk + state, disk + array("Q", bytes(len(state) * ENTRY_SIZE))
        new = Snapshot(
            l1_offset=await change.store(big_endian(kept)),
            l1_entries=len(kept),
            snapshot_id=wanted.snapshot_id or table.new_id(),
            name=wanted.name,
            date_sec=wanted.date_sec,
            date_nsec=wanted.date_nsec,
            vm_clock_ns=wanted.vm_clock_ns,
            vm_state_size=wanted.vm_state_size,
            disk_size=header.size,
            icount=NO_ICOUNT if wanted.icount is None else wanted.icount,
        )
        fields = await self._store_table(change, (*table.entries, new))
        await self._finish(change, active, **fields)

    async def apply(self, snapshot_id: str | None, name: str | None) -> None:
        """Go back to a snapshot; see :meth:`SupportsSnapshots.apply_snapshot`."""
        self._check_usable()
        wanted = self._find(snapshot_id, name)
        if (wanted.disk_size or 0) % SECTOR_SIZE:
            raise _error(errno.EINVAL)
        l1 = await self._read_l1(wanted)
        change = await self._begin()
        await change.add_tree(self._parts.tables.l1, -1)
        await change.add_tree(l1, 1)
        self._drop_active_l1(change)
        size = self._image.header.size if wanted.disk_size is None else wanted.disk_size
        await self._finish(change, await change.settle(l1), size=size)

    async def delete(self, snapshot_id: str | None, name: str | None) -> None:
        """Delete a snapshot; see :meth:`SupportsSnapshots.delete_snapshot`."""
        self._check_usable()
        unwanted = self._find(snapshot_id, name)
        change = await self._begin()
        await change.add_tree(await self._read_l1(unwanted), -1)
        change.add_range(unwanted.l1_offset, unwanted.l1_entries * ENTRY_SIZE, -1)
        self._drop_active_l1(change)
        l1 = await change.settle(self._parts.tables.l1)
        remaining = tuple(entry for entry in self._parts.snapshots.entries if entry is not unwanted)
        fields = await self._store_table(change, remaining)
        await self._finish(change, l1, **fields)
        if self._image.runtime.discard_snapshot:
            await change.discard_freed()

    def _drop_active_l1(self, change: SnapshotChange) -> None:
        """Give up the L1 table in use, of which a changed copy takes the place."""
        header = self._image.header
        change.add_range(header.l1_offset, header.l1_entries * ENTRY_SIZE, -1)

    async def load(self, snapshot_id: str | None, name: str | None) -> None:
        """Show a snapshot for now; see :meth:`SupportsSnapshots.load_snapshot`."""
        self._image.check_sound()
        if self._image.writable:
            raise _error(errno.EINVAL)
        l1 = await self._read_l1(self._find(snapshot_id, name))
        self._parts.tables.cached.clear()
        self._parts.tables.l1[:] = l1

    async def read_vm_state(self, snapshot_id: str, offset: int, into: memoryview) -> None:
        """Read a snapshot's machine state; see :meth:`SupportsSnapshots.read_snapshot_vm_state`."""
        self._image.check_sound()
        snapshot = self._find(snapshot_id, None)
        size = self._image.header.size if snapshot.disk_size is None else snapshot.disk_size
        start = vm_state_index(self._image, size) * self._image.header.l2_reach
        await read_tree(self._image, await self._read_l1(snapshot), start + offset, into)

    async def _read_l1(self, snapshot: Snapshot) -> "array[int]":
        """Read a snapshot's L1 table, with no fewer entries than the disk needs."""
        image = self._image
        if snapshot.l1_entries * ENTRY_SIZE > MAX_L1_BYTES:
            raise _error(errno.EFBIG)
        if snapshot.l1_offset % image.cluster_size:
            raise _error(errno.EINVAL)
        l1 = await image.read_table(snapshot.l1_offset, snapshot.l1_entries * ENTRY_SIZE)
        needed = vm_state_index(image, max(snapshot.disk_size or 0, image.header.size))
        if needed * ENTRY_SIZE > MAX_L1_BYTES:
            raise _error(errno.EFBIG)
        l1.extend(array("Q", bytes(max(needed - len(l1), 0) * ENTRY_SIZE)))
        return l1

    async def _begin(self) -> SnapshotChange:
        change = SnapshotChange(self._image)
        await change.begin()
        return change

    async def _store_table(self, change: SnapshotChange, entries: tuple[Snapshot, ...]) -> dict[str, int]:
        """Store another snapshot table instead of the old, and return the header fields that name it."""
        data = pack_table(entries, self._image.header.size)
        if len(data) > MAX_TABLE_BYTES:
            raise _error(errno.EFBIG)
        if self._image.header.snapshot_count:
            change.add_range(self._image.header.snapshot_offset, self._parts.snapshots.length, -1)
        return {"snapshot_offset": await change.store(data), "snapshot_count": len(entries)}

    async def _finish(self, change: SnapshotChange, l1: "array[int]", **fields: int) -> None:
        """Store the active L1 table, switch to all that is new, and take note of it."""
        offset = await change.store(big_endian(l1))
        await switch_to(self._parts, change, l1_offset=offset, l1_entries=len(l1), **fields)
