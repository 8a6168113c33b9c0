"""Make zeroes on devices, and discard, by the calls that block devices have.  Everything here may block."""

import errno
import fcntl
import struct
from typing import Final

from qmpserver.driver_api.driver import not_supported
from qmpserver.drivers.file.space import UNSUPPORTED, SpaceCalls

_BLKDISCARD: Final = 0x1277
_BLKZEROOUT: Final = 0x127F
_RANGE: Final = struct.Struct("@QQ")
"""What both take: offset and length in bytes."""


class DeviceCalls(SpaceCalls):
    """What one device can do; a call it lacks is not tried twice."""

    def __init__(self) -> None:
        super().__init__()
        self._can_discard = True
        self._can_zero_out = True

    def discard(self, fd: int, offset: int, length: int) -> None:
        """Say that the range is of no interest; what it reads as afterwards nobody knows.

        Raises:
            OSError: ENOTSUP when the device has no such call.
        """
        if not self._can_discard:
            raise not_supported()
        try:
            _call(fd, _BLKDISCARD, offset, length)
        except OSError as error:
            self._can_discard = error.errno != errno.ENOTSUP
            raise

    def zero(self, fd: int, offset: int, length: int, *, may_unmap: bool) -> None:
        """Make a range inside the device read as zeroes, keeping its space unless it `may_unmap`.

        Raises:
            OSError: ENOTSUP when the device can do neither.
        """
        if may_unmap and self._has_punched(fd, offset, length):
            return
        if not self._can_zero_out:
            raise not_supported()
        try:
            _call(fd, _BLKZEROOUT, offset, length)
        except OSError as error:
            self._can_zero_out = error.errno != errno.ENOTSUP
            raise


def _call(fd: int, request: int, offset: int, length: int) -> None:
    try:
        fcntl.ioctl(fd, request, _RANGE.pack(offset, length))
    except OSError as error:
        if error.errno in UNSUPPORTED:
            raise not_supported() from error
        raise
