"""List internal snapshots, as a table and as JSON."""

import time
from collections.abc import Iterable
from typing import Any

from qmpserver.driver_api.extras import SnapshotInfo
from qmpserver.numerals import human_size
from qmpserver.units import NS_PER_MS, NS_PER_SECOND

_ROW = "{:<7} {:<16} {:>8} {:>19} {:>15} {:>10}"


def snapshot_members(snapshot: SnapshotInfo) -> dict[str, Any]:
    """Shape a snapshot as QEMU's ``SnapshotInfo``."""
    members: dict[str, Any] = {
        "id": snapshot.snapshot_id,
        "name": snapshot.name,
        "vm-state-size": snapshot.vm_state_size,
        "date-sec": snapshot.date_sec,
        "date-nsec": snapshot.date_nsec,
        "vm-clock-sec": snapshot.vm_clock_ns // NS_PER_SECOND,
        "vm-clock-nsec": snapshot.vm_clock_ns % NS_PER_SECOND,
    }
    if snapshot.icount is not None:
        members["icount"] = snapshot.icount
    return members


def header_row() -> str:
    """Return the line above a table of snapshots."""
    return _ROW.format("ID", "TAG", "VM_SIZE", "DATE", "VM_CLOCK", "ICOUNT")


def snapshot_row(members: dict[str, Any]) -> str:
    """Return a snapshot's line in a table, given its members."""
    date = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(members["date-sec"]))
    minutes, seconds = divmod(members["vm-clock-sec"], 60)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours:04d}:{minutes:02d}:{seconds:02d}.{members['vm-clock-nsec'] // NS_PER_MS:03d}"
    size = human_size(members["vm-state-size"])
    return _ROW.format(members["id"], members["name"], size, date, clock, members.get("icount", "--"))


def snapshot_rows(snapshots: Iterable[dict[str, Any]]) -> str:
    """Return the table of snapshots, given their members."""
    return "\n".join(["Snapshot list:", header_row(), *map(snapshot_row, snapshots)])
