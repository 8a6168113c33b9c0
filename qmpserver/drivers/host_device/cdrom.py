"""Serve an image's bytes from a CD-ROM drive of the host, whose disc comes and goes."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from qmpserver.driver_api.device_probing import DISC_OK, cdrom_status, is_device
from qmpserver.drivers.file.kinds import FileKind
from qmpserver.drivers.host_device.device_limits import check_writable, device_limits
from qmpserver.drivers.host_device.driver import HostDeviceDriver
from qmpserver.drivers.host_device.making import DEVICE
from qmpserver.file_range import FileRange

_CDROMEJECT: Final = 0x5309
_CDROMCLOSETRAY: Final = 0x5319
_CDROM_LOCKDOOR: Final = 0x5329


class HostCdromDriver(HostDeviceDriver):
    """A CD-ROM drive of the host.  It is opened without a disc, too."""

    format_name: ClassVar[str] = "host_cdrom"
    has_drive: ClassVar[bool] = True
    kind: ClassVar[FileKind] = FileKind("host_cdrom", DEVICE, is_device, device_limits, check_writable)

    @property
    def size(self) -> int:
        """The length of the disc that is in it now."""
        try:
            return os.lseek(self._access.handle.fd, 0, os.SEEK_END)
        except OSError:
            return 0

    def image_info(self) -> dict[str, Any]:
        """Return nothing, as QEMU does."""
        return {}

    def driver_stats(self) -> dict[str, Any] | None:
        """Return nothing: of a drive no discards are counted."""
        return None

    def find_medium(self) -> bool:
        """Say whether there is a disc that can be read; the drive is asked each time, and answers at once."""
        return cdrom_status(self._access.handle.fd) == DISC_OK

    async def pread(self, offset: int, into: memoryview, flags: int) -> None:
        """Fill `into` from the disc.

        Raises:
            OSError: ENOMEDIUM when there is none.
        """
        self._need_medium()
        await super().pread(offset, into, flags)

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        """Store `data` on the disc, if it can be written; see :meth:`pread`."""
        self._need_medium()
        await super().pwrite(offset, data, flags)

    def pread_at_once(self, offset: int, into: memoryview) -> bool:
        """Fill `into`, if the page cache has all of it and the disc is still there."""
        return self.find_medium() and super().pread_at_once(offset, into)

    def find_in_memory(self, offset: int, length: int) -> list[FileRange]:
        """Return the range on the disc; see :meth:`pread_at_once`."""
        return super().find_in_memory(offset, length) if self.find_medium() else []

    def pwrite_at_once(self, offset: int, data: memoryview) -> bool:
        """Store `data` in place; see :meth:`pread_at_once`."""
        return self.find_medium() and super().pwrite_at_once(offset, data)

    async def pwritev(self, offset: int, buffers: Sequence[memoryview], flags: int) -> None:
        """Store buffers on the disc; see :meth:`pread`."""
        self._need_medium()
        await super().pwritev(offset, buffers, flags)

    def _need_medium(self) -> None:
        if not self.find_medium():
            raise OSError(errno.ENOMEDIUM, os.strerror(errno.ENOMEDIUM))

    def move_tray(self, *, is_open: bool) -> None:
        """Open or close the drive's own tray.  QEMU: a drive that does not is no reason to fail."""
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._access.handle.fd, _CDROMEJECT if is_open else _CDROMCLOSETRAY)

    def lock_medium(self, *, is_locked: bool) -> None:
        """Lock or free the drive's own tray.  QEMU: a drive that does not is no reason to fail."""
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._access.handle.fd, _CDROM_LOCKDOOR, int(is_locked))
