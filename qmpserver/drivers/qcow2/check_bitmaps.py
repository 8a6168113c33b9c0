"""Count what persistent bitmaps refer to.

Source: qcow2 specification, "Bitmaps extension" and "Bitmap directory".
"""

import struct
from collections.abc import Iterator

from qmpserver.drivers.qcow2.check_walk import TableWalker, read_table
from qmpserver.drivers.qcow2.entries import ENTRY_SIZE, OFFSET_MASK
from qmpserver.drivers.qcow2.image import Image
from qmpserver.units import align_up

_EXTENSION = struct.Struct(">IIQQ")
_ENTRY = struct.Struct(">QIIBBHI")


async def walk_bitmaps(image: Image, walker: TableWalker, extension: bytes) -> None:
    """Count the references that the bitmap directory makes, and what it leads to.

    Args:
        image: The image.
        walker: Counts the references.
        extension: The data of the header extension.
    """
    count, _, length, offset = _EXTENSION.unpack(extension)
    if not walker.add(offset, length):
        return
    for table, entries in _tables(bytes(await image.read(offset, length)), count):
        if not walker.add(table, entries * ENTRY_SIZE):
            continue
        for entry in await read_table(image, table, entries * ENTRY_SIZE):
            if entry & OFFSET_MASK:
                walker.add(entry & OFFSET_MASK, image.cluster_size)


def _tables(directory: bytes, count: int) -> Iterator[tuple[int, int]]:
    """Return host offset and number of entries of each bitmap's table."""
    at = 0
    for _ in range(count):
        if at + _ENTRY.size > len(directory):
            return
        table, entries, *_, name_length, extra = _ENTRY.unpack_from(directory, at)
        yield table, entries
        at += align_up(_ENTRY.size + extra + name_length, 8)
