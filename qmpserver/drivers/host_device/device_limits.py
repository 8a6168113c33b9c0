"""Find out what requests to a device of the host must look like.  Everything here may block.

Source: the block layer's ioctls and ``/sys/dev/block/MAJOR:MINOR/queue`` of Linux.
"""

import array
import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Final

from qmpserver.driver_api.limits import Limits
from qmpserver.drivers.file.io import direct_alignment
from qmpserver.errors import QMPError
from qmpserver.units import SECTOR_SIZE, is_aligned

_BLKROGET: Final = 0x125E
_BLKSSZGET: Final = 0x1268
_BLKSECTGET: Final = 0x1267
_SYSFS: Final = Path("/sys/dev/block")
_MOST_IOV: Final = 1024


def device_limits(fd: int, direct: bool) -> Limits:
    """Return the limits of an open device; of a character device nothing is known but how it bypasses a cache."""
    status = os.fstat(fd)
    if not stat.S_ISBLK(status.st_mode):
        return Limits(request_alignment=direct_alignment(fd) if direct else 1)
    sector = _logical_block_size(fd)
    alignment = sector if direct else 1
    granularity = _queue_value(status.st_rdev, "discard_granularity")
    return Limits(
        request_alignment=alignment,
        # QEMU: through the page cache anything can be written, but only whole sectors made zero.
        pwrite_zeroes_alignment=0 if direct else sector,
        pdiscard_alignment=granularity if is_aligned(granularity, alignment) else 0,
        min_mem_alignment=alignment,
        max_hw_transfer=_max_hw_transfer(fd),
        max_hw_iov=min(_queue_value(status.st_rdev, "max_segments"), _MOST_IOV),
    )


def check_writable(fd: int) -> None:
    """Refuse a block device that the kernel opens for writing, but does not let write.

    Raises:
        QMPError: With QEMU's text.
    """
    if not stat.S_ISBLK(os.fstat(fd).st_mode):
        return
    is_read_only = array.array("i", [0])
    fcntl.ioctl(fd, _BLKROGET, is_read_only)
    if is_read_only[0]:
        raise QMPError(f"The device is not writable: {os.strerror(errno.EACCES)}")


def _logical_block_size(fd: int) -> int:
    size = array.array("i", [0])
    fcntl.ioctl(fd, _BLKSSZGET, size)
    return size[0]


def _max_hw_transfer(fd: int) -> int:
    sectors = array.array("H", [0])
    try:
        fcntl.ioctl(fd, _BLKSECTGET, sectors)
    except OSError:
        return 0
    return sectors[0] * SECTOR_SIZE


def _queue_value(device: int, name: str) -> int:
    """Return a number that the kernel says of a device's queue; 0 where it says none."""
    here = _SYSFS / f"{os.major(device)}:{os.minor(device)}"
    # A partition's queue is that of the disk which its folder lies in.
    for queue in (here / "queue", here.resolve().parent / "queue"):
        try:
            return int((queue / name).read_text())
        except (OSError, ValueError):
            continue
    return 0
