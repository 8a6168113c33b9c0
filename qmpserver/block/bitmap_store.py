"""Bring persistent bitmaps from images into memory and back.

While a node is writable its bitmaps live in memory, and the image says that what it holds of them may be out of
date.  They are stored when the node stops being writable: it is closed, reopened read-only or made inactive.
"""

import errno
import os
from typing import TYPE_CHECKING

from qmpserver.block.node import Node
from qmpserver.driver_api.bitmaps import StoredBitmap, SupportsBitmaps
from qmpserver.driver_api.driver import BlockDriver
from qmpserver.errors import QMPError
from qmpserver.units import SECTOR_SIZE, align_up

if TYPE_CHECKING:  # few nodes have one
    from qmpserver.block.dirty_bitmap import DirtyBitmap


async def load(driver: BlockDriver, *, read_only: bool) -> "list[DirtyBitmap]":
    """Make the bitmaps that an image which was just opened holds, oldest first.

    Raises:
        QMPError: One is damaged.
        OSError: One cannot be read.
    """
    if not isinstance(driver, SupportsBitmaps) or not (all_stored := driver.stored_bitmaps):
        return []
    from qmpserver.block.dirty_bitmap import DirtyBitmap  # noqa: PLC0415 - few images hold any

    bitmaps = []
    for stored in all_stored:
        bitmap = DirtyBitmap(align_up(driver.size, SECTOR_SIZE), stored.granularity, stored.name)
        bitmap.is_persistent = True
        bitmap.is_inconsistent = stored.is_in_use
        bitmap.is_enabled = stored.is_enabled and not stored.is_in_use
        bitmap.is_read_only = read_only
        if not stored.is_in_use:
            await driver.load_bitmap(stored.name, bitmap.bits)
        bitmaps.append(bitmap)
    return bitmaps


async def store(node: Node) -> None:
    """Store the bitmaps of a node that stops being writable.  It is drained, or nothing uses it any more.

    Raises:
        QMPError: One cannot be stored; in the image all count as out of date.
        OSError: The same.
    """
    if node.read_only or not node.is_active or not isinstance(node.driver, SupportsBitmaps):
        return
    # QEMU: the newest comes first in the image.
    await node.driver.store_bitmaps(
        [
            (StoredBitmap(bitmap.name, bitmap.granularity, bitmap.is_recording), _settled(bitmap).bits)
            for bitmap in reversed(node.dirty_bitmaps)
            if bitmap.name is not None and bitmap.is_persistent and not bitmap.is_inconsistent
        ]
    )


def _settled(bitmap: "DirtyBitmap") -> "DirtyBitmap":
    """Return a bitmap with what its successor has recorded."""
    if bitmap.successor is None:
        return bitmap
    from qmpserver.block.dirty_bitmap import DirtyBitmap  # noqa: PLC0415 - as above

    whole = DirtyBitmap(bitmap.size, bitmap.granularity)
    whole.merge(bitmap)
    whole.merge(bitmap.successor)
    return whole


async def take_back(node: Node) -> None:
    """Have what was stored count as out of date again, because the node goes on being writable.

    Raises:
        OSError: The image cannot be written.
    """
    if isinstance(node.driver, SupportsBitmaps):
        await node.driver.mark_bitmaps_in_use()


def follow_mode(node: Node) -> None:
    """Note that a node's bitmaps may be changed, or may not, as the node itself."""
    for bitmap in node.dirty_bitmaps:
        bitmap.is_read_only = bitmap.is_persistent and node.read_only


def forget(node: Node) -> None:
    """Let go of the bitmaps that are in the image, which now belongs to another process."""
    node.dirty_bitmaps[:] = [bitmap for bitmap in node.dirty_bitmaps if not bitmap.is_persistent]


def check_new(node: Node, wanted: StoredBitmap) -> None:
    """Refuse a bitmap that cannot be stored in the node's image.

    Raises:
        QMPError: With QEMU's text.
    """
    if node.read_only or not node.is_active:
        raise QMPError(f"Cannot add a persistent bitmap to read-only or inactive node '{node.node_name}'")
    if not isinstance(node.driver, SupportsBitmaps):
        raise QMPError(f"Can't store persistent bitmaps to {node.node_name}: {os.strerror(errno.ENOTSUP)}")
    others = [
        bitmap.name for bitmap in node.dirty_bitmaps if bitmap.is_persistent and bitmap.name is not None
    ]
    node.driver.check_new_bitmap(wanted, others)


async def remove(node: Node, bitmap: "DirtyBitmap") -> None:
    """Remove a persistent bitmap from the node's image, if it is there.

    Raises:
        QMPError: The image cannot be written; the bitmap is still there.
    """
    name = bitmap.name
    if name is None or not isinstance(node.driver, SupportsBitmaps):
        return
    if node.read_only or not node.is_active:
        raise QMPError(
            f"Cannot remove persistent bitmap '{name}': no write access to node '{node.node_name}'"
        )
    try:
        await node.driver.remove_bitmap(name)
    except OSError as error:
        raise QMPError(
            f"Failed to remove persistent bitmap '{name}' from node '{node.node_name}': "
            f"{os.strerror(error.errno or errno.EIO)}"
        ) from error
