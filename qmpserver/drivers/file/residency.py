"""Find out whether the page cache has a range of a file, so that sending it will not wait for the disk.

The kernel answers only those who might write the file or own it; to anybody else all of it would seem to be there.
"""

import ctypes
import functools
import mmap
import os
from typing import Any, Final

from qmpserver.drivers.file.space import libc_function
from qmpserver.units import MiB, align_down, align_up

_STEP: Final = 1024 * MiB
"""What is looked at is a multiple of this, so that a file that grows is not mapped anew all the time."""

_MOST: Final = 4 * MiB
"""Bytes that are looked at together at most."""

_PAGE: Final = mmap.PAGESIZE
_PRESENT: Final = bytes([1])
_FAILED: Final = ctypes.c_void_p(-1).value


@functools.cache
def _find_mmap() -> Any:
    found = libc_function("mmap64", "mmap")
    if found is not None:
        found.restype = ctypes.c_void_p
        integers = ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_longlong
        found.argtypes = (ctypes.c_void_p, *integers)
    return found


@functools.cache
def _find_munmap() -> Any:
    found = libc_function("munmap")
    if found is not None:
        found.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    return found


@functools.cache
def _find_mincore() -> Any:
    found = libc_function("mincore")
    if found is not None:
        found.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)
    return found


class Residency:
    """What the page cache has of one open file.

    The file is mapped, but none of its pages ever touched: the mapping is only what the kernel is asked about.

    Args:
        fd: The file.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._is_told = _may_ask(fd) and None not in (_find_mmap(), _find_munmap(), _find_mincore())
        self._start = self._length = 0
        self._pages = ctypes.create_string_buffer(_MOST // _PAGE + 1)

    def has(self, offset: int, length: int) -> bool:
        """Say whether the page cache has all of a range; not of one that is longer than a few MiB, or past the end."""
        end = offset + length
        if not self._is_told or length > _MOST or not self._reaches(end):
            return False
        start = align_down(offset, _PAGE)
        pages = align_up(end - start, _PAGE) // _PAGE
        if _find_mincore()(self._start + start, end - start, self._pages):
            return False
        return self._pages.raw.count(_PRESENT, 0, pages) == pages

    def _reaches(self, end: int) -> bool:
        if end <= self._length:
            return True
        self.close()
        length = align_up(end, _STEP)
        start = _find_mmap()(None, length, mmap.PROT_READ, mmap.MAP_SHARED, self._fd, 0)
        if start in (None, _FAILED):
            self._is_told = False
            return False
        self._start, self._length = start, length
        return True

    def close(self) -> None:
        """Let go of the file."""
        if self._length:
            _find_munmap()(self._start, self._length)
            self._start = self._length = 0


def _may_ask(fd: int) -> bool:
    if os.fstat(fd).st_uid == os.geteuid() or os.geteuid() == 0:
        return True
    return os.access(f"/proc/self/fd/{fd}", os.W_OK, effective_ids=True)


def is_asked_for(fd: int, offset: int, length: int) -> bool:
    """Have the kernel begin to bring a range of a file to the page cache, and say that it was asked to."""
    os.posix_fadvise(fd, offset, length, os.POSIX_FADV_WILLNEED)
    return True
