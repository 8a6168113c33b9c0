"""Read and write the snapshot table.

Source: qcow2 specification, "Snapshots".
"""

import struct
from collections.abc import Iterable
from typing import NamedTuple

from qmpserver.drivers.qcow2.entries import ENTRY_SIZE
from qmpserver.drivers.qcow2.extensions import name_to_text, text_to_name
from qmpserver.drivers.qcow2.header import MAX_L1_BYTES
from qmpserver.drivers.qcow2.image import Image
from qmpserver.errors import QMPError
from qmpserver.units import KiB, MiB, align_up

MAX_TABLE_BYTES = 64 * MiB
MAX_EXTRA = 1024
NO_ICOUNT = (1 << 64) - 1
"""The instruction count of a machine that counts none."""

_ENTRY = struct.Struct(">QIHHIIQII")
_EXTRA = struct.Struct(">QQQ")
_WINDOW = 64 * KiB


class Snapshot(NamedTuple):
    """One entry of the table.

    Attributes:
        l1_offset: Host offset of its L1 table.
        l1_entries: How many entries that has.
        snapshot_id: What tells it from others; usually a number.
        name: What its user called it; need not be unique.
        date_sec: When it was taken, in seconds since 1970.
        date_nsec: Nanoseconds to be added.
        vm_clock_ns: How long the machine had run.
        vm_state_size: Bytes of machine state that it holds.
        disk_size: The virtual disk's size in bytes then; None when it was not noted.
        icount: Instructions that the machine had executed; :data:`NO_ICOUNT` when they were not counted.
        unknown: Further extra data, of a newer writer.
    """

    l1_offset: int
    l1_entries: int
    snapshot_id: str
    name: str
    date_sec: int
    date_nsec: int
    vm_clock_ns: int
    vm_state_size: int
    disk_size: int | None = None
    icount: int = NO_ICOUNT
    unknown: bytes = b""

    def pack(self) -> bytes:
        """Return the entry as stored, padding included."""
        snapshot_id, name = text_to_name(self.snapshot_id), text_to_name(self.name)
        extra = _EXTRA.pack(self.vm_state_size, self.disk_size or 0, self.icount) + self.unknown
        short_size = self.vm_state_size if self.vm_state_size < 1 << 32 else 0
        fixed = _ENTRY.pack(
            self.l1_offset, self.l1_entries, len(snapshot_id), len(name), self.date_sec, self.date_nsec,
            self.vm_clock_ns, short_size, len(extra),
        )  # fmt: skip
        entry = fixed + extra + snapshot_id + name
        return entry.ljust(align_up(len(entry), 8), b"\0")


class SnapshotTable(NamedTuple):
    """The image's snapshots.

    Attributes:
        length: Bytes of the table on disk.
        entries: The snapshots, in order.
        oversized: How many have more extra data than is allowed; it was left out.
    """

    length: int
    entries: tuple[Snapshot, ...] = ()
    oversized: int = 0

    @property
    def l1_tables(self) -> tuple[tuple[int, int], ...]:
        """For each snapshot, host offset and number of entries of its L1 table."""
        return tuple((entry.l1_offset, entry.l1_entries) for entry in self.entries)

    def find(self, snapshot_id: str | None, name: str | None) -> Snapshot | None:
        """Return the first snapshot with that id and that name, as far as they are given."""
        return next(
            (
                entry
                for entry in self.entries
                if snapshot_id in {None, entry.snapshot_id} and name in {None, entry.name}
            ),
            None,
        )

    def new_id(self) -> str:
        """Return an id that no snapshot has: one more than the highest number."""
        numbers = (int(entry.snapshot_id) for entry in self.entries if entry.snapshot_id.isdecimal())
        return str(max(numbers, default=0) + 1)


def pack_table(entries: Iterable[Snapshot], size: int) -> bytes:
    """Return a table as stored; `size` is the disk's size, for snapshots that do not say theirs."""
    return b"".join(
        (entry if entry.disk_size is not None else entry._replace(disk_size=size)).pack() for entry in entries
    )


class _Reader:
    """Reads on through the table, many entries at once."""

    def __init__(self, image: Image, offset: int) -> None:
        self._image = image
        self.offset = offset
        self._window_at, self._window = offset, b""

    async def take(self, length: int) -> bytes:
        """Return the next bytes."""
        start = self.offset - self._window_at
        if start + length > len(self._window):
            self._window_at, start = self.offset, 0
            self._window = bytes(await self._image.read(self.offset, max(length, _WINDOW)))
        self.offset += length
        return self._window[start : start + length]


async def read_snapshots(image: Image, *, for_check: bool = False) -> SnapshotTable:
    """Read the snapshot table.

    Args:
        image: The image.
        for_check: Extra data that is too long is left out and not refused.

    Raises:
        QMPError: The table is larger than QEMU allows.
        OSError: It cannot be read.
    """
    start = image.header.snapshot_offset
    reader = _Reader(image, start)
    entries, oversized = [], 0
    for index in range(image.header.snapshot_count):
        entry, extra_length = await _read_entry(reader)
        if extra_length > MAX_EXTRA:
            if not for_check:
                raise QMPError(
                    f"Too much extra metadata in snapshot table entry {index}\nYou can force-remove this "
                    "extra metadata by updating the image via `qemu-img check -r all`"
                )
            oversized += 1
        entries.append(entry)
        reader.offset = start + align_up(reader.offset - start, 8)
        if reader.offset - start > MAX_TABLE_BYTES:
            raise QMPError("Snapshot table too large")
    return SnapshotTable(reader.offset - start, tuple(entries), oversized)


async def _read_entry(reader: _Reader) -> tuple[Snapshot, int]:
    """Return the next entry, and the length of its extra data, of which no more is kept than is allowed."""
    (l1_offset, l1_entries, id_length, name_length, seconds, nanoseconds, clock, state_size, extra_length) = (
        _ENTRY.unpack(await reader.take(_ENTRY.size))
    )
    extra = await reader.take(min(extra_length, MAX_EXTRA))
    reader.offset += extra_length - len(extra)
    large, disk_size, icount = _EXTRA.unpack(extra[: _EXTRA.size].ljust(_EXTRA.size, b"\0"))
    entry = Snapshot(
        l1_offset=l1_offset,
        l1_entries=l1_entries,
        snapshot_id=name_to_text(await reader.take(id_length)),
        name=name_to_text(await reader.take(name_length)),
        date_sec=seconds,
        date_nsec=nanoseconds,
        vm_clock_ns=clock,
        vm_state_size=large if extra_length >= 8 else state_size,
        disk_size=disk_size if extra_length >= 16 else None,
        icount=icount if extra_length >= 24 else NO_ICOUNT,
        unknown=extra[_EXTRA.size :],
    )
    return entry, extra_length


def valid_l1_tables(image: Image, snapshots: SnapshotTable) -> list[tuple[int, int]]:
    """Return host offset and length in bytes of those snapshot L1 tables that can be right."""
    return [
        (offset, entries * ENTRY_SIZE)
        for offset, entries in snapshots.l1_tables
        if entries * ENTRY_SIZE <= MAX_L1_BYTES and offset % image.cluster_size == 0 and offset < 1 << 56
    ]
