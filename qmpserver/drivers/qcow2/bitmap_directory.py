"""Read and write the bitmap directory, and the header extension that leads to it.

Source: qcow2 specification, "Bitmaps extension" and "Bitmap directory".  The limits are QEMU's.
"""

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from qmpserver.errors import QMPError
from qmpserver.units import MiB, align_up

MAX_BITMAPS: Final = 65535
MAX_DIRECTORY_BYTES: Final = 1024 * MAX_BITMAPS
MAX_TABLE_ENTRIES: Final = 128 * MiB
MAX_BITMAP_BYTES: Final = 512 * MiB
MAX_NAME: Final = 1023
MIN_GRANULARITY_BITS: Final = 9
MAX_GRANULARITY_BITS: Final = 31

IN_USE: Final = 1 << 0
AUTO: Final = 1 << 1
_KNOWN_FLAGS: Final = IN_USE | AUTO
_DIRTY_TRACKING: Final = 1
_MAX_OFFSET: Final = (1 << 56) - 1

_EXTENSION = struct.Struct(">IIQQ")
_ENTRY = struct.Struct(">QIIBBHI")


class DirectoryPlace(NamedTuple):
    """Where the directory is: what the header extension says.

    Attributes:
        bitmaps: How many it has.
        length: Its length in bytes.
        offset: Its host offset.
    """

    bitmaps: int
    length: int
    offset: int

    def pack(self) -> bytes:
        """Return the extension's data."""
        return _EXTENSION.pack(self.bitmaps, 0, self.length, self.offset)

    @classmethod
    def parse(cls, extension: bytes, cluster_size: int) -> "DirectoryPlace":
        """Read the extension's data.

        Raises:
            QMPError: It cannot be right; with QEMU's text.
        """
        count, reserved, length, offset = _EXTENSION.unpack(extension)
        if reserved:
            raise QMPError("bitmaps_ext: Reserved field is not zero")
        if count > MAX_BITMAPS:
            raise QMPError(
                f"bitmaps_ext: Image has {count} bitmaps, exceeding the QEMU supported maximum of {MAX_BITMAPS}"
            )
        if not count:
            raise QMPError("found bitmaps extension with zero bitmaps")
        if offset % cluster_size or offset > _MAX_OFFSET:
            raise QMPError("bitmaps_ext: invalid bitmap directory offset")
        if length > MAX_DIRECTORY_BYTES:
            raise QMPError(
                f"bitmaps_ext: bitmap directory size ({length}) exceeds the maximum supported size "
                f"({MAX_DIRECTORY_BYTES})"
            )
        if not length:
            raise QMPError("Requested bitmap directory size is zero")
        return cls(count, length, offset)


class DirectoryEntry(NamedTuple):
    """One bitmap.

    Attributes:
        name: Its name as stored.
        granularity_bits: Binary logarithm of the bytes that share one bit.
        flags: IN_USE and AUTO.
        table_offset: Host offset of its table.
        table_entries: How many entries that has.
    """

    name: bytes
    granularity_bits: int
    flags: int
    table_offset: int
    table_entries: int

    @property
    def length(self) -> int:
        """Bytes it takes in the directory."""
        return entry_length(self.name)

    def pack(self) -> bytes:
        """Return the entry as stored, padding included."""
        fixed = _ENTRY.pack(
            self.table_offset, self.table_entries, self.flags, _DIRTY_TRACKING, self.granularity_bits,
            len(self.name), 0,
        )  # fmt: skip
        return (fixed + self.name).ljust(self.length, b"\0")


def entry_length(name: bytes) -> int:
    """Return the bytes that a bitmap of that name takes in the directory."""
    return align_up(_ENTRY.size + len(name), 8)


def pack_directory(entries: Sequence[DirectoryEntry]) -> bytes:
    """Return a directory as stored."""
    return b"".join(entry.pack() for entry in entries)


def parse_directory(directory: bytes, count: int, size: int, cluster_size: int) -> list[DirectoryEntry]:
    """Read a directory.

    Args:
        directory: All of it.
        count: How many bitmaps the header extension promises.
        size: The virtual disk's size.
        cluster_size: The image's.

    Raises:
        QMPError: It cannot be right; with QEMU's text.
    """
    entries: list[DirectoryEntry] = []
    names: set[bytes] = set()
    at = 0
    while at < len(directory):
        entry = _parse_entry(directory, at)
        if len(entries) == count:
            raise QMPError("More bitmaps found than specified in header extension")
        if not _is_valid(entry, directory[at + 16], size, cluster_size):
            raise QMPError(f"Bitmap '{_text(entry.name)}' doesn't satisfy the constraints")
        if entry.name in names:
            raise QMPError(f"Bitmap already exists: {_text(entry.name)}")
        names.add(entry.name)
        entries.append(entry)
        at += entry.length
    if len(entries) < count:
        raise QMPError("Less bitmaps found than specified in header extension")
    return entries


def _parse_entry(directory: bytes, at: int) -> DirectoryEntry:
    if at + _ENTRY.size > len(directory):
        raise QMPError("Broken bitmap directory")
    table, entries, flags, _kind, granularity_bits, name_length, extra = _ENTRY.unpack_from(directory, at)
    start = at + _ENTRY.size
    if start + extra + name_length > len(directory):
        raise QMPError("Broken bitmap directory")
    if extra:
        raise QMPError("Bitmap extra data is not supported")
    name = directory[start : start + name_length]
    if at + entry_length(name) > len(directory):
        raise QMPError("Broken bitmap directory")
    return DirectoryEntry(name, granularity_bits, flags, table, entries)


def _is_valid(entry: DirectoryEntry, kind: int, size: int, cluster_size: int) -> bool:
    bits = entry.granularity_bits
    if not MIN_GRANULARITY_BITS <= bits <= MAX_GRANULARITY_BITS or kind != _DIRTY_TRACKING:
        return False
    table_fits = 0 < entry.table_entries <= MAX_TABLE_ENTRIES
    return (
        0 < len(entry.name) <= MAX_NAME
        and not entry.flags & ~_KNOWN_FLAGS
        and table_fits
        and 0 < entry.table_offset <= _MAX_OFFSET
        and entry.table_offset % cluster_size == 0
        and entry.table_entries * cluster_size <= MAX_BITMAP_BYTES
        and (bool(entry.flags & IN_USE) or entry.table_entries == table_length(size, bits, cluster_size))
    )


def table_length(size: int, granularity_bits: int, cluster_size: int) -> int:
    """Return how many entries the table of a bitmap of a disk of that size has."""
    return -(-bitmap_bytes(size, granularity_bits) // cluster_size)


def bitmap_bytes(size: int, granularity_bits: int) -> int:
    """Return how many bytes the bits of a bitmap of a disk of that size take."""
    granules = -(-size // (1 << granularity_bits))
    return -(-granules // 8)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")
