"""Make files that images are to be kept in.  Everything here may block.

Source: the ``BlockdevCreateOptionsFile`` members; refusals are in QEMU's words.
"""

import contextlib
import fcntl
import os
import struct
from typing import Any, Final, NamedTuple, Self

from qmpserver.driver_api.permissions import PERM_ALL, Permission, PermissionSet
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.drivers.file.locks import ImageLocked, make_lock
from qmpserver.drivers.file.resizing import resize
from qmpserver.errors import QMPError, error_text
from qmpserver.units import MiB, signed64

_DEFAULT_HINT: Final = MiB
_UINT_MAX: Final = (1 << 32) - 1
_WHILE_CREATING: Final = PermissionSet(Permission.WRITE | Permission.RESIZE, PERM_ALL & ~Permission.RESIZE)

_FLAGS_GET: Final = 0x80086601
_FLAGS_SET: Final = 0x40086602
_FLAG_NOCOW: Final = 0x00800000
"""FS_IOC_GETFLAGS, FS_IOC_SETFLAGS and FS_NOCOW_FL of Linux."""

_ATTRIBUTES_GET: Final = 0x801C581F
_ATTRIBUTES_SET: Final = 0x401C5820
_ATTRIBUTES: Final = struct.Struct("@IIIII8x")
_HAS_EXTENT_HINT: Final = 0x800
"""FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR, ``struct fsxattr`` and FS_XFLAG_EXTSIZE of Linux."""


class FileCreation(NamedTuple):
    """The members of ``BlockdevCreateOptionsFile``."""

    filename: str
    size: int
    preallocation: Preallocation = Preallocation.OFF
    nocow: bool = False
    extent_size_hint: int = _DEFAULT_HINT

    @classmethod
    def parse(cls, options: dict[str, Any]) -> Self:
        """Read and check options under their wire names.

        Raises:
            QMPError: With QEMU's text.
        """
        made = cls(
            filename=options["filename"],
            size=signed64(options["size"]),
            preallocation=Preallocation(options.get("preallocation", "off")),
            nocow=options.get("nocow", False),
            extent_size_hint=options.get("extent-size-hint", _DEFAULT_HINT),
        )
        if not 0 <= made.extent_size_hint <= _UINT_MAX:
            raise QMPError("Extent size hint is too large")
        return made


def create_file(wanted: FileCreation) -> None:
    """Make a file, or empty the one that there is.

    Raises:
        NodeInUse: Another user of the file does not allow it, and it is as it was.
        QMPError: It cannot be opened.
        OSError: It cannot have the size; `strerror` is QEMU's text.
    """
    try:
        fd = os.open(wanted.filename, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise QMPError(f"Could not create '{wanted.filename}': {error_text(error)}") from error
    try:
        lock = make_lock(fd, "auto")
        if lock is not None:
            lock.acquire_checked(_WHILE_CREATING)
        resize(fd, 0, Preallocation.OFF)
        if wanted.nocow:
            _turn_off_copy_on_write(fd)
        if wanted.extent_size_hint:
            _hint_extent_size(fd, wanted.extent_size_hint)
        resize(fd, wanted.size, wanted.preallocation)
    except ImageLocked as error:
        error.found_at(wanted.filename)
        raise
    finally:
        os.close(fd)


def _turn_off_copy_on_write(fd: int) -> None:
    """Have new data written in place.  QEMU: a file system that knows no such thing is no reason to fail."""
    with contextlib.suppress(OSError):
        flags = bytearray(fcntl.ioctl(fd, _FLAGS_GET, bytes(8)))
        value = int.from_bytes(flags[:4], "little") | _FLAG_NOCOW
        fcntl.ioctl(fd, _FLAGS_SET, value.to_bytes(8, "little"))


def _hint_extent_size(fd: int, hint: int) -> None:
    """Have the file system allocate in larger units.  Only a hint, which most file systems do not take."""
    with contextlib.suppress(OSError):
        flags, _, extents, project, cow_hint = _ATTRIBUTES.unpack(
            fcntl.ioctl(fd, _ATTRIBUTES_GET, bytes(_ATTRIBUTES.size))
        )
        packed = _ATTRIBUTES.pack(flags | _HAS_EXTENT_HINT, hint, extents, project, cow_hint)
        fcntl.ioctl(fd, _ATTRIBUTES_SET, packed)
