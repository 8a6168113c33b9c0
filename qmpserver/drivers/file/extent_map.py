"""Ask a file system how it holds a range of a file, by FIEMAP of Linux.

Source: the kernel's ``Documentation/filesystems/fiemap.rst``.
"""

import fcntl
import struct
from typing import Final

_REQUEST: Final = struct.Struct("=QQIIII")
"""First byte, bytes, flags, extents found, extents there is room for, reserved."""

_EXTENT: Final = struct.Struct("=QQQ16xI12x")
"""First byte, where on the disk, bytes, flags."""

_FIEMAP: Final = 0xC020660B
"""FS_IOC_FIEMAP."""

_DELAYED: Final = 0x4
"""FIEMAP_EXTENT_DELALLOC: it is in memory only, and has no place on the disk yet."""

MOST: Final = 512
"""Extents that are looked at; a range in more of them is not judged."""


def is_scattered_in_memory(fd: int, offset: int, length: int) -> bool:
    """Say whether a range is several pieces of data that all have no place on the disk yet, and holes.

    May block.

    Raises:
        OSError: The file system does not tell.
    """
    answer = bytearray(_REQUEST.size + MOST * _EXTENT.size)
    _REQUEST.pack_into(answer, 0, offset, length, 0, 0, MOST, 0)
    fcntl.ioctl(fd, _FIEMAP, answer, True)
    found = _REQUEST.unpack_from(answer)[3]
    extents = memoryview(answer)[_REQUEST.size : _REQUEST.size + found * _EXTENT.size]
    return 1 < found < MOST and all(flags & _DELAYED for *_, flags in _EXTENT.iter_unpack(extents))
