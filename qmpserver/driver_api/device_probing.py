"""Tell by its name that a file is a device of the host, and which driver serves it.

QEMU asks its drivers one by one (`bdrv_probe_device`); here one look at the file says it.
"""

import fcntl
import os
import stat
from typing import Final

_CDROM_DRIVE_STATUS: Final = 0x5326
_CURRENT_SLOT: Final = (1 << 31) - 1
"""CDROM_DRIVE_STATUS and CDSL_CURRENT of Linux."""

DISC_OK: Final = 4
"""CDS_DISC_OK of Linux: there is a disc, and it can be read."""


def is_device(mode: int) -> bool:
    """Say of a file's mode, as ``os.stat`` has it, whether it is a character or block device."""
    return stat.S_ISBLK(mode) or stat.S_ISCHR(mode)


def cdrom_status(fd: int) -> int | None:
    """Ask an open device for the state of its disc, as Linux numbers it; None when it is no CD-ROM drive."""
    try:
        return fcntl.ioctl(fd, _CDROM_DRIVE_STATUS, _CURRENT_SLOT)
    except OSError:
        return None


def device_driver(filename: str) -> str | None:
    """Return the driver of a device, or None for what is a regular file, or nothing yet.  May block."""
    try:
        mode = os.stat(filename).st_mode
    except (OSError, ValueError):
        return None
    if not is_device(mode):
        return None
    return "host_cdrom" if stat.S_ISBLK(mode) and _is_cdrom(filename) else "host_device"


def _is_cdrom(filename: str) -> bool:
    try:
        # Opened so, a drive without a disc does not refuse.
        fd = os.open(filename, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return cdrom_status(fd) is not None
    finally:
        os.close(fd)
