"""Change the size of a node."""

import errno
import os

from qmpserver.block.bitmap_checks import check_writable
from qmpserver.block.view import NodeView
from qmpserver.driver_api.bitmaps import SupportsBitmaps
from qmpserver.driver_api.driver import BlockDriver
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.units import GiB, align_down

MAX_LENGTH = align_down((1 << 63) - 1, GiB)
"""QEMU's largest image, in bytes: no rounding up of an offset inside overflows."""


def check(node: NodeView, size: int) -> None:
    """Refuse a size that no node can have, and any size of a node that is not to be written.

    Raises:
        OSError: EFBIG or EACCES; `strerror` is QEMU's text.
        QMPError: A bitmap in the image could not follow.
    """
    if size > MAX_LENGTH:
        raise OSError(errno.EFBIG, f"offset({size}) exceeds maximum({MAX_LENGTH})")
    if node.flags.read_only:
        raise OSError(errno.EACCES, "Image is read-only")
    if isinstance(node.driver, SupportsBitmaps):
        for stored in node.driver.stored_bitmaps:
            for bitmap in node.dirty_bitmaps:
                if bitmap.name == stored.name:
                    check_writable(bitmap)


async def resize(driver: BlockDriver, size: int, preallocation: Preallocation) -> None:
    """Have the driver set the size.

    Raises:
        OSError: See :meth:`BlockDriver.truncate`.
    """
    try:
        await driver.truncate(size, preallocation)
    except OSError as error:
        if error.errno == errno.ENOTSUP and error.strerror == os.strerror(errno.ENOTSUP):
            raise OSError(errno.ENOTSUP, "Image format driver does not support resize") from error
        raise
