"""Serve an image's bytes from a block or character device of the host."""

import errno
import fcntl
import os
from typing import Any, ClassVar

from qmpserver import threads
from qmpserver.driver_api import flags as request_flags
from qmpserver.driver_api.device_probing import is_device
from qmpserver.driver_api.driver import not_supported
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.driver_api.status import BlockStatus
from qmpserver.drivers.file.driver import FileDriver
from qmpserver.drivers.file.kinds import FileKind
from qmpserver.drivers.file.space import SpaceCalls
from qmpserver.drivers.host_device.device_calls import DeviceCalls
from qmpserver.drivers.host_device.device_limits import check_writable, device_limits
from qmpserver.drivers.host_device.making import DEVICE, TOO_LARGE, take_device


class HostDeviceDriver(FileDriver):
    """A device of the host, which has the size it has.

    A write past its end fails with the kernel's ENOSPC, as is wanted of a volume that is made larger then.
    """

    format_name: ClassVar[str] = "host_device"
    kind: ClassVar[FileKind] = FileKind("host_device", DEVICE, is_device, device_limits, check_writable)

    @staticmethod
    def _measure(fd: int) -> int:
        """Return the device's length; what has none, such as a SCSI generic device, is not read or written."""
        try:
            return os.lseek(fd, 0, os.SEEK_END)
        except OSError as error:
            if error.errno == errno.ESPIPE:
                return 0
            raise

    def _make_space_calls(self) -> SpaceCalls:
        return DeviceCalls()

    def _trusts_writes(self) -> bool:
        """Say no: the file system that a device is named on says nothing of the device."""
        return False

    @classmethod
    async def create_file(cls, options: dict[str, Any]) -> None:
        """Take a device for a new image; see :class:`SupportsCreateFile`."""
        await threads.run(take_device, options)

    @property
    def reads_zero_when_new(self) -> bool:
        """A device holds what it held before."""
        return False

    async def pwrite_zeroes(self, offset: int, length: int, flags: int) -> None:
        """Make the range zero by the device's own means.

        Raises:
            OSError: ENOTSUP also where the kernel might write zeroes out, and that is not wanted.
        """
        may_unmap = bool(flags & request_flags.MAY_UNMAP)
        if flags & request_flags.NO_FALLBACK:
            if not may_unmap:
                raise not_supported()
            await self._change(self._space.punch_hole, offset, length)
            return
        await self._change(self._zero, offset, length, may_unmap)

    def _zero(self, fd: int, offset: int, length: int, may_unmap: bool) -> None:
        self._space.zero(fd, offset, length, may_unmap=may_unmap)

    async def block_status(self, offset: int, length: int) -> BlockStatus:
        """Call everything data: a device does not tell."""
        return BlockStatus(length, is_data=True, is_zero=False, is_allocated=True, host_offset=offset)

    async def block_statuses(self, offset: int, length: int) -> list[BlockStatus]:
        """Call everything data."""
        return [await self.block_status(offset, length)]

    def known_run(self, offset: int) -> tuple[int, int, bool] | None:
        """Know nothing of zeroes."""
        return None

    async def truncate(self, size: int, preallocation: Preallocation = Preallocation.OFF) -> None:
        """Look at the device's length again, and see that it suffices.

        Raises:
            OSError: It does not; `strerror` is QEMU's text.
        """
        if preallocation is not Preallocation.OFF:
            text = f"Preallocation mode '{preallocation.value}' unsupported for this non-regular file"
            raise OSError(errno.ENOTSUP, text)
        self._size = await self._run(self._measure)
        if size > self._size:
            raise OSError(errno.EINVAL, TOO_LARGE)

    async def ioctl(self, request: int, argument: bytearray | int) -> int:
        """Have the device carry out a request of its own; see :class:`SupportsIoctl`."""
        return await self._run(_ioctl, request, argument)


def _ioctl(fd: int, request: int, argument: bytearray | int) -> int:
    return fcntl.ioctl(fd, request, argument)
