"""Refuse dirty bitmaps that may not be used as they are."""

from typing import TYPE_CHECKING

from qmpserver.errors import NodeInUse, QMPError

if TYPE_CHECKING:  # few nodes have one
    from qmpserver.block.dirty_bitmap import DirtyBitmap


def check_idle(bitmap: "DirtyBitmap") -> None:
    """Refuse a bitmap that a job or an export uses.

    Raises:
        NodeInUse: With QEMU's text.
    """
    if bitmap.is_busy:
        raise NodeInUse(f"Bitmap '{bitmap.name}' is currently in use by another operation and cannot be used")


def check_readable(bitmap: "DirtyBitmap") -> None:
    """Refuse a bitmap whose content is not there to be used.

    Raises:
        QMPError: With QEMU's text.
    """
    check_idle(bitmap)
    if bitmap.is_inconsistent:
        raise QMPError(f"Bitmap '{bitmap.name}' is inconsistent and cannot be used")


def check_writable(bitmap: "DirtyBitmap") -> None:
    """Refuse a bitmap whose content may not be changed.

    Raises:
        QMPError: With QEMU's text.
    """
    check_idle(bitmap)
    if bitmap.is_read_only:
        raise QMPError(f"Bitmap '{bitmap.name}' is readonly and cannot be modified")
    check_readable(bitmap)
