"""Decide what becomes of the dirty bitmap that tells a job what to copy."""

import enum

from qmpserver.block.dirty_bitmap import DirtyBitmap
from qmpserver.block.node import Node


class BitmapSyncMode(enum.Enum):
    """When a bitmap begins anew; the values are the wire's."""

    ON_SUCCESS = "on-success"
    """When the job has succeeded; else it is as if the job had not been."""
    NEVER = "never"
    """Never; what is written meanwhile is marked as well."""
    ALWAYS = "always"
    """However the job ends; what it has not copied stays marked."""


class BitmapSync:
    """One bitmap while a job uses it.

    From :meth:`begin` to :meth:`end` the bitmap stands still and nobody else may use it; a successor
    without a name records what is written meanwhile.

    Args:
        node: The node whose writes the bitmap records.
        bitmap: The bitmap.
        mode: When it begins anew.
    """

    def __init__(self, node: Node, bitmap: DirtyBitmap, mode: BitmapSyncMode) -> None:
        self._node = node
        self.bitmap = bitmap
        self.mode = mode

    def begin(self) -> None:
        """Let the successor record in the bitmap's place."""
        bitmap = self.bitmap
        bitmap.successor = successor = DirtyBitmap(bitmap.size, bitmap.granularity)
        successor.is_enabled, bitmap.is_enabled = bitmap.is_enabled, False
        self._node.dirty_bitmaps.append(successor)
        bitmap.is_busy = True

    def end(self, *, is_done: bool, not_copied: DirtyBitmap) -> None:
        """Give the bitmap back, with what has been written meanwhile.

        Args:
            is_done: The job has succeeded.
            not_copied: What it has not copied.
        """
        bitmap, mode, siblings = self.bitmap, self.mode, self._node.dirty_bitmaps
        successor, bitmap.successor = bitmap.successor, None
        if successor is None:
            return
        if mode is BitmapSyncMode.ALWAYS or (is_done and mode is BitmapSyncMode.ON_SUCCESS):
            bitmap.clear()
            # QEMU: the successor takes the bitmap's place, so that it counts as the newer one.
            siblings.remove(bitmap)
            siblings[siblings.index(successor)] = bitmap
        else:
            siblings.remove(successor)
        bitmap.merge(successor)
        if mode is BitmapSyncMode.ALWAYS and not is_done:
            bitmap.merge(not_copied)
        bitmap.is_enabled = successor.is_enabled
        bitmap.is_busy = False
