"""Make zeroes and holes in files, and start writeback, by calls that only Linux has.

Where a call or the file system lacks one of them, the request is answered with ENOTSUP and the engine
does without.  Everything here may block.
"""

import contextlib
import ctypes
import errno
import functools
import os
import sys
from typing import Any, Final

from qmpserver.driver_api.driver import not_supported

_KEEP_SIZE: Final = 0x01
_PUNCH_HOLE: Final = 0x02
_ZERO_RANGE: Final = 0x10
_SYNC_WRITE: Final = 2
"""SYNC_FILE_RANGE_WRITE: begin to write dirty pages, wait for nothing."""

EXT_MAGIC: Final = 0xEF53
"""EXT4_SUPER_MAGIC of Linux, of ext2 and ext3 too."""

UNSUPPORTED: Final = frozenset((errno.ENOTSUP, errno.ENOSYS, errno.ENOTTY, errno.EINVAL))
"""What the kernel says of a call that there is not, for this file at least."""


def libc_function(*names: str) -> Any:
    """Return the first of the C library's functions there is, or None."""
    libc = ctypes.CDLL(None, use_errno=True)
    for name in names:
        found = getattr(libc, name, None)
        if found is not None:
            found.restype = ctypes.c_int
            return found
    return None


# Each is looked for when it is first wanted: to read an image takes none of them, nor ctypes (see `lazily`).
@functools.cache
def _find_fallocate() -> Any:
    found = libc_function("fallocate64", "fallocate")
    if found is not None:
        found.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong)
    return found


@functools.cache
def _find_sync_file_range() -> Any:
    found = libc_function("sync_file_range")
    if found is not None:
        found.argtypes = (ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong, ctypes.c_uint)
    return found


@functools.cache
def _find_fstatfs() -> Any:
    found = libc_function("fstatfs64", "fstatfs")
    if found is not None:
        found.argtypes = (ctypes.c_int, ctypes.c_char_p)
    return found


def _allocate(fd: int, mode: int, offset: int, length: int) -> None:
    """Call ``fallocate``; every way of saying "cannot" becomes ENOTSUP."""
    fallocate = _find_fallocate()
    if fallocate is None:
        raise not_supported()
    while fallocate(fd, mode, offset, length):
        number = ctypes.get_errno()
        if number in UNSUPPORTED:
            raise not_supported()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))


class SpaceCalls:
    """What one file system can do; a call it lacks is not tried twice."""

    def __init__(self) -> None:
        self._can_punch = True
        self._can_zero = True
        self._tells_extents = sys.platform == "linux"

    def punch_hole(self, fd: int, offset: int, length: int) -> None:
        """Give the range's space back; it reads as zeroes, and the file keeps its size.

        Raises:
            OSError: ENOTSUP when the file system has no holes.
        """
        if not self._can_punch:
            raise not_supported()
        try:
            _allocate(fd, _PUNCH_HOLE | _KEEP_SIZE, offset, length)
        except OSError as error:
            self._can_punch = error.errno != errno.ENOTSUP
            raise

    def discard(self, fd: int, offset: int, length: int) -> None:
        """Give the range's space back, if only as a hint.

        Raises:
            OSError: ENOTSUP when that cannot be had.
        """
        self.punch_hole(fd, offset, length)

    def zero(self, fd: int, offset: int, length: int, *, may_unmap: bool) -> None:
        """Make a range inside the file read as zeroes, keeping its space unless it `may_unmap`.

        Raises:
            OSError: ENOTSUP when the file system can do neither.
        """
        if may_unmap and self._has_punched(fd, offset, length):
            return
        if self._can_zero and not self._is_scattered(fd, offset, length):
            try:
                _allocate(fd, _ZERO_RANGE | _KEEP_SIZE, offset, length)
            except OSError as error:
                if error.errno != errno.ENOTSUP:
                    raise
                self._can_zero = False
            else:
                return
        # A hole that is then given fresh space: two steps, the same result.
        self.punch_hole(fd, offset, length)
        _allocate(fd, _KEEP_SIZE, offset, length)

    def _is_scattered(self, fd: int, offset: int, length: int) -> bool:
        """Say whether a range is better dropped and then given its space in one go.

        To make zeroes of pieces that wait to be written, ext4 finds a place on the disk for one after the other.
        """
        if not self._tells_extents:
            return False
        from qmpserver.drivers.file.extent_map import is_scattered_in_memory  # noqa: PLC0415 - few make zeroes

        try:
            return is_scattered_in_memory(fd, offset, length)
        except OSError:
            self._tells_extents = False
            return False

    def _has_punched(self, fd: int, offset: int, length: int) -> bool:
        """Punch a hole where that can be had, and say whether it was."""
        try:
            self.punch_hole(fd, offset, length)
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                raise
            return False
        return True

    def extend(self, fd: int, end: int) -> None:
        """Make the file reach to `end` at least; what is new reads as zeroes.

        QEMU: holds back all other requests and calls ``ftruncate``, which would cut off what another
        request has meanwhile appended.  Allocating one byte cannot make a file shorter.

        Raises:
            OSError: ENOTSUP when there is no way but writing.
        """
        try:
            _allocate(fd, 0, end - 1, 1)
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                raise
            try:
                os.pwrite(fd, b"\0", end - 1)
            except OSError as refused:
                if refused.errno == errno.EINVAL:  # one byte is too little for O_DIRECT
                    raise not_supported() from refused
                raise


def make_room(fd: int, offset: int, length: int, *, keep_size: bool = False) -> None:
    """Give a range that is about to be written its space, in one go instead of block by block.

    It makes the file longer unless with `keep_size`.  A hint: what cannot be had shows again when the range is written.
    """
    with contextlib.suppress(OSError):
        _allocate(fd, _KEEP_SIZE if keep_size else 0, offset, length)


def start_writeback(fd: int, offset: int, length: int) -> None:
    """Ask the kernel to begin writing the range to disk.  A hint: errors show at the next flush."""
    sync_file_range = _find_sync_file_range()
    if sync_file_range is not None:
        sync_file_range(fd, offset, length, _SYNC_WRITE)


_STATFS_SIZE: Final = 256
"""More than any ``struct statfs``, which on Linux begins with the kind, a long."""


def file_system_magic(fd: int) -> int | None:
    """Return the number that stands for the kind of file system a file is on, or None.  Linux only."""
    fstatfs = _find_fstatfs()
    found = ctypes.create_string_buffer(_STATFS_SIZE)
    if fstatfs is None or fstatfs(fd, found):
        return None
    return ctypes.c_ulong.from_buffer(found).value
