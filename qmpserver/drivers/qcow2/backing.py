"""Change the backing file that an image names.

Source: qcow2 specification, "Header" (backing_file_offset) and "Header extensions".
"""

import errno
import os
from typing import Final

from qmpserver.drivers.qcow2 import extensions as ext
from qmpserver.drivers.qcow2.extensions import Extension
from qmpserver.drivers.qcow2.header import MAX_BACKING_NAME, Header
from qmpserver.drivers.qcow2.image import Image
from qmpserver.units import SECTOR_SIZE, align_up

EXTENSION_HEAD: Final = 8


async def store_backing_file(image: Image, filename: str | None, backing_format: str | None) -> None:
    """Store another backing file name and format.  The caller has flushed what they rely on.

    A power cut leaves the old pair or the new: either header, extensions and name fit into one sector, or
    the name goes where the old one is not, and is on stable storage before the sector that points to it.
    The feature name table, which is for human readers of unknown features, is given up to that end.

    Raises:
        OSError: EINVAL or ENOSPC when the pair cannot be held; the image is unchanged.
    """
    name = ext.text_to_name(filename or "")
    if len(name) > MAX_BACKING_NAME:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    kept = [one for one in image.extensions if one.kind not in {ext.BACKING_FORMAT, ext.FEATURE_NAMES}]
    if backing_format:
        if not name or len(ext.text_to_name(backing_format)) >= 16:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        kept.insert(0, Extension(ext.BACKING_FORMAT, ext.text_to_name(backing_format)))
    async with image.header_lock:
        await _write_first_cluster(image, kept, name)


async def store_data_file_name(image: Image, filename: str) -> None:
    """Store another name of the external data file, or none, in the same order.

    Raises:
        OSError: EINVAL or ENOSPC when the name cannot be held; the image is unchanged.
    """
    name = ext.text_to_name(image.backing_name or "")
    kept = [one for one in image.extensions if one.kind not in {ext.DATA_FILE, ext.FEATURE_NAMES}]
    if filename:
        kept.insert(0, Extension(ext.DATA_FILE, ext.text_to_name(filename)))
    async with image.header_lock:
        await _write_first_cluster(image, kept, name, in_one_sector=True)


async def store_version(image: Image, header: Header) -> None:
    """Store the header of another version, whose fields may end elsewhere, in the same order.

    Raises:
        OSError: ENOSPC when header and extensions do not fit; the image is unchanged.
    """
    name = ext.text_to_name(image.backing_name or "")
    kept = [one for one in image.extensions if one.kind != ext.FEATURE_NAMES]
    async with image.header_lock:
        await _write_first_cluster(image, kept, name, header, in_one_sector=True)


async def store_bitmap_extension(image: Image, data: bytes | None, autoclear: int) -> None:
    """Store what leads to the bitmap directory, or that there is none, with the bits that vouch for it.

    A power cut leaves the old state or the new: all that changes is in the first sector.

    Raises:
        OSError: ENOSPC when there is no room for it there; the image is unchanged.
    """
    header = image.header._replace(autoclear=autoclear)
    async with image.header_lock:
        place = _place_in_first_sector(image, ext.BITMAPS)
        if place is not None and data is not None:
            sector = await image.read(0, SECTOR_SIZE)
            fields = header.pack()
            sector[: len(fields)], sector[place : place + len(data)] = fields, data
            await image.write(0, sector)
            image.header = header
            image.extensions = [
                Extension(one.kind, data) if one.kind == ext.BITMAPS else one for one in image.extensions
            ]
            await image.child.flush()
            return
        kept = [one for one in image.extensions if one.kind not in {ext.BITMAPS, ext.FEATURE_NAMES}]
        if data is not None:
            kept.append(Extension(ext.BITMAPS, data))
        name = ext.text_to_name(image.backing_name or "")
        await _write_first_cluster(image, kept, name, header, in_one_sector=True)


def _place_in_first_sector(image: Image, kind: int) -> int | None:
    """Return where the data of the only extension of that kind lies, if that is in the first sector."""
    at, places = image.header.header_length, []
    for one in image.extensions:
        start = at + EXTENSION_HEAD
        at = start + align_up(len(one.data), 8)
        if one.kind == kind:
            places.append(start if at <= SECTOR_SIZE else None)
    return places[0] if len(places) == 1 else None


async def _write_first_cluster(
    image: Image,
    kept: list[Extension],
    name: bytes,
    header: Header | None = None,
    *,
    in_one_sector: bool = False,
) -> None:
    """Write the first cluster in an order in which the old header stays whole until the new one is.

    Args:
        image: The image.
        kept: The extensions to store.
        name: The backing file's name, or nothing.
        header: The header to store, if not the present one.
        in_one_sector: Refuse extensions that do not end within the first sector.
    """
    old = image.header
    old_name = range(old.backing_offset, old.backing_offset + old.backing_length)
    laid_out = ext.lay_out(header or old, kept, name, old_name)
    if laid_out is None or (in_one_sector and laid_out.extensions_end > SECTOR_SIZE):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    area = bytearray(laid_out.area)
    # Bytes between the fields we know and the first extension belong to a newer writer: keep them.
    if laid_out.header.header_length == old.header_length:
        known, length = len(old.pack()), old.header_length
        area[known:length] = await image.read(known, length - known)
    if len(area) > SECTOR_SIZE:
        if laid_out.extensions_end <= old_name.start and old_name.stop <= laid_out.header.backing_offset:
            area[old_name.start : old_name.stop] = await image.read(old_name.start, len(old_name))
        await image.write(SECTOR_SIZE, area[SECTOR_SIZE:])
        await image.child.flush()
    await image.write(0, area[:SECTOR_SIZE].ljust(SECTOR_SIZE, b"\0"))
    image.header, image.extensions = laid_out.header, kept
    image.backing_name = ext.name_to_text(name) or None
    await image.child.flush()
