"""Read the snapshot table, as far as counting references and guarding metadata need it.

Source: qcow2 specification, "Snapshots".
"""

import struct
from dataclasses import dataclass

from qmpserver.drivers.qcow2.entries import ENTRY_SIZE
from qmpserver.drivers.qcow2.header import MAX_L1_BYTES
from qmpserver.drivers.qcow2.image import Image
from qmpserver.errors import QMPError
from qmpserver.units import KiB, MiB, align_up

MAX_TABLE_BYTES = 64 * MiB
MAX_EXTRA = 1024
_ENTRY = struct.Struct(">QIHHIIQII")
_WINDOW = 64 * KiB


@dataclass(frozen=True, slots=True)
class SnapshotTable:
    """What the image's snapshots refer to.

    Attributes:
        length: Bytes of the table on disk.
        l1_tables: For each snapshot, host offset and number of entries of its L1 table.
    """

    length: int
    l1_tables: tuple[tuple[int, int], ...]


async def read_snapshots(image: Image) -> SnapshotTable:
    """Read the snapshot table.

    Raises:
        QMPError: The table is larger than QEMU allows.
        OSError: It cannot be read.
    """
    start = image.header.snapshot_offset
    offset, window_at, window = start, start, b""
    tables = []
    for index in range(image.header.snapshot_count):
        if offset + _ENTRY.size > window_at + len(window):
            window_at, window = offset, bytes(await image.read(offset, _WINDOW))
        l1_offset, l1_entries, id_length, name_length, *_, extra = _ENTRY.unpack_from(
            window, offset - window_at
        )
        if extra > MAX_EXTRA:
            raise QMPError(
                f"Too much extra metadata in snapshot table entry {index}\nYou can force-remove this extra "
                "metadata by updating the image via `qemu-img check -r all`"
            )
        tables.append((l1_offset, l1_entries))
        offset += align_up(_ENTRY.size + extra + id_length + name_length, 8)
        if offset - start > MAX_TABLE_BYTES:
            raise QMPError("Snapshot table too large")
    return SnapshotTable(offset - start, tuple(tables))


def valid_l1_tables(image: Image, snapshots: SnapshotTable) -> list[tuple[int, int]]:
    """Return host offset and length in bytes of those snapshot L1 tables that can be right."""
    return [
        (offset, entries * ENTRY_SIZE)
        for offset, entries in snapshots.l1_tables
        if entries * ENTRY_SIZE <= MAX_L1_BYTES and offset % image.cluster_size == 0 and offset < 1 << 56
    ]
