"""Take a device for a new image.  Everything here may block."""

import os
from typing import Any, Final

from qmpserver.driver_api.device_probing import is_device
from qmpserver.drivers.file.io import write_fully
from qmpserver.errors import QMPError, error_text
from qmpserver.units import SECTOR_SIZE

DEVICE: Final = "either a character or block device"
"""What a file has to be, in words."""

TOO_LARGE: Final = "Cannot grow device files"
"""What is said of a size that a device does not have."""


def take_device(options: dict[str, Any]) -> None:
    """See that a device has room for `size` bytes, and make its first sector zero.

    QEMU: what the sector says of a format that the device held before must not be believed any more.

    Raises:
        QMPError: It cannot be opened, is no device, or is too small.
        OSError: It cannot be written.
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
            raise QMPError(f"'host_device' driver requires '{filename}' to be {DEVICE}")
        present = os.lseek(fd, 0, os.SEEK_END)
        if size > present:
            raise QMPError(TOO_LARGE)
        write_fully(fd, 0, memoryview(bytes(min(present, SECTOR_SIZE))))
    finally:
        os.close(fd)
