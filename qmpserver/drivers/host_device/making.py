"""Take a device for a new image.  Everything here may block."""

import errno
import os
from typing import Any

from qmpserver.driver_api.device_probing import is_device
from qmpserver.drivers.file.io import write_fully
from qmpserver.errors import QMPError, error_text
from qmpserver.units import SECTOR_SIZE


def take_device(options: dict[str, Any]) -> None:
    """See that a device has room for `size` bytes, and make its first sector zero.

    QEMU: what the sector says of a format that the device held before must not be believed any more.

    Raises:
        QMPError: It cannot be opened, or is no device.
        OSError: It is too small, or cannot be written; `strerror` is QEMU's text.
    """
    filename, size = options["filename"], options["size"]
    preallocation = options.get("preallocation", "off")
    if preallocation != "off":
        raise QMPError(f"Unsupported preallocation mode '{preallocation}'")
    try:
        fd = os.open(filename, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise QMPError(f"Could not open '{filename}': {error_text(error)}") from error
    try:
        if not is_device(os.fstat(fd).st_mode):
            raise QMPError(
                f"'host_device' driver requires '{filename}' to be either a character or block device"
            )
        present = os.lseek(fd, 0, os.SEEK_END)
        check_length(present, size)
        write_fully(fd, 0, memoryview(bytes(min(present, SECTOR_SIZE))))
    finally:
        os.close(fd)


def check_length(present: int, wanted: int) -> None:
    """Refuse a size that a device does not have.

    Raises:
        OSError: EINVAL, with QEMU's text.
    """
    if wanted > present:
        raise OSError(errno.EINVAL, "Cannot grow device files")
