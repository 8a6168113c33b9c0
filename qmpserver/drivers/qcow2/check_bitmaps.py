"""Count what persistent bitmaps refer to.

Source: qcow2 specification, "Bitmaps extension" and "Bitmap directory".
"""

import errno
import os

from qmpserver.drivers.qcow2.bitmap_directory import DirectoryPlace, parse_directory
from qmpserver.drivers.qcow2.bitmap_tables import read_table
from qmpserver.drivers.qcow2.check_walk import TableWalker
from qmpserver.drivers.qcow2.entries import ENTRY_SIZE, OFFSET_MASK
from qmpserver.drivers.qcow2.image import Image
from qmpserver.errors import QMPError


async def walk_bitmaps(image: Image, walker: TableWalker, extension: bytes) -> None:
    """Count the references that the bitmap directory makes, and what it leads to.

    Args:
        image: The image.
        walker: Counts the references.
        extension: The data of the header extension.

    Raises:
        OSError: EINVAL when something is damaged.  Nothing can be repaired then, as in QEMU: what a bitmap
            refers to is not known.
    """
    try:
        place = DirectoryPlace.parse(extension, image.cluster_size)
        walker.add(place.offset, place.length)
        stored = bytes(await image.read(place.offset, place.length))
        for entry in parse_directory(stored, place.bitmaps, image.header.size, image.cluster_size):
            walker.add(entry.table_offset, entry.table_entries * ENTRY_SIZE)
            for value in await read_table(image, entry):
                if value & OFFSET_MASK:
                    walker.add(value & OFFSET_MASK, image.cluster_size)
    except QMPError as error:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from error
