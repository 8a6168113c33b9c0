"""Read and write the bits of a bitmap, and the table that says where they are.

Source: qcow2 specification, "Bitmap table" and "Bitmap data".
"""

import errno
import os
from array import array
from collections.abc import Iterator
from typing import Final

from qmpserver.driver_api.bitmaps import BitRow
from qmpserver.drivers.qcow2.bitmap_directory import DirectoryEntry
from qmpserver.drivers.qcow2.entries import ENTRY_SIZE
from qmpserver.drivers.qcow2.image import Image
from qmpserver.drivers.qcow2.refcounts import Refcounts
from qmpserver.errors import QMPError
from qmpserver.units import SECTOR_SIZE, align_up

_ALL_ONES: Final = 1
_OFFSET_MASK: Final = 0x00FFFFFFFFFFFE00
_RESERVED: Final = 0xFF000000000001FE

HostRange = tuple[int, int]
"""Host offset and length in clusters."""


def _name(entry: DirectoryEntry) -> str:
    return entry.name.decode("utf-8", "surrogateescape")


async def read_table(image: Image, entry: DirectoryEntry) -> "array[int]":
    """Read a bitmap's table.

    Raises:
        QMPError: It cannot be right; with QEMU's text.
        OSError: It cannot be read.
    """
    table = array("Q")
    table.frombytes(await image.read(entry.table_offset, entry.table_entries * ENTRY_SIZE))
    table.byteswap()
    used: set[int] = set()
    for value in table:
        offset = value & _OFFSET_MASK
        is_wrong = value & _RESERVED or (offset and (value & _ALL_ONES or offset % image.cluster_size))
        if is_wrong or offset in used:
            raise QMPError(
                f"Could not read bitmap_table table from image for bitmap '{_name(entry)}': "
                f"{os.strerror(errno.EINVAL)}"
            )
        if offset:
            used.add(offset)
    return table


async def read_bits(image: Image, entry: DirectoryEntry, bits: BitRow) -> None:
    """Set those bits of an empty row that are set in the image.

    Raises:
        QMPError: The table is damaged.
        OSError: Something cannot be read.
    """
    per_cluster = image.cluster_size * 8
    table = await read_table(image, entry)
    for index, count, value in _runs(table):
        first = index * per_cluster
        if value == _ALL_ONES:
            bits.set(first, min(first + count * per_cluster, bits.length))
        elif value:
            bits.load(first, bytes(await image.read(value, image.cluster_size)))


def _runs(table: "array[int]") -> Iterator[tuple[int, int, int]]:
    """Go through a table, entries that say "all set" joined: index, how many, value."""
    index = 0
    while index < len(table):
        value, count = table[index], 1
        while value == _ALL_ONES and index + count < len(table) and table[index + count] == value:
            count += 1
        yield index, count, value
        index += count


def occupied(image: Image, entry: DirectoryEntry, table: "array[int]") -> list[HostRange]:
    """Return what a bitmap occupies: its table and its data."""
    ranges = [(value & _OFFSET_MASK, 1) for value in table if value & _OFFSET_MASK]
    length = align_up(entry.table_entries * ENTRY_SIZE, image.cluster_size)
    return [*ranges, (entry.table_offset, length >> image.cluster_bits)]


class BitmapWriter:
    """Writes bitmaps to where nothing is.  Nothing leads to them yet.

    Args:
        image: The image.
        refcounts: Gives the room.

    Attributes:
        taken: All the room that was taken.
    """

    def __init__(self, image: Image, refcounts: Refcounts) -> None:
        self._image = image
        self._refcounts = refcounts
        self.taken: list[HostRange] = []

    async def write(self, data: bytes) -> int:
        """Write a structure and return its host offset."""
        image = self._image
        length = align_up(len(data), image.cluster_size)
        count = length >> image.cluster_bits
        offset, _ = await self._refcounts.allocate(count, whole=True)
        self.taken.append((offset, count))
        # What is behind it in the cluster is nothing to anybody.
        await image.write(offset, data.ljust(align_up(len(data), SECTOR_SIZE), b"\0"))
        return offset

    async def write_bits(self, bits: BitRow, entries: int) -> int:
        """Write a bitmap's data and its table of so many entries; return the table's host offset."""
        per_cluster = self._image.cluster_size * 8
        table = array("Q", bytes(entries * ENTRY_SIZE))
        first = bits.next(0, bits.length, is_set=True)
        while first is not None:
            index = first // per_cluster
            first = index * per_cluster
            stop = min(first + per_cluster, bits.length)
            if bits.next(first, stop, is_set=False) is None:
                table[index] = _ALL_ONES
            else:
                table[index] = await self.write(bits.dump(first, stop))
            first = bits.next(stop, bits.length, is_set=True)
        table.byteswap()
        return await self.write(table.tobytes())

    async def release(self) -> None:
        """Give the room back."""
        for offset, count in self.taken:
            await self._refcounts.release(offset, count)
        self.taken.clear()
