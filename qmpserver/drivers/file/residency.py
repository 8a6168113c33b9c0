"""Find out whether the page cache has a range of a file, so that sending it will not wait for the disk.

The kernel answers only those who might write the file or own it; to anybody else all of it would seem to be there.
"""

import ctypes
import functools
import mmap
import os
from typing import Any, Final

from qmpserver.units import MiB, align_down, align_up

_STEP: Final = 1024 * MiB
"""What is looked at is a multiple of this, so that a file that grows is not mapped anew all the time."""

_MOST: Final = 4 * MiB
"""Bytes that are looked at together at most."""

_PAGE: Final = mmap.PAGESIZE
_PRESENT: Final = bytes([1])
_FAILED: Final = ctypes.c_void_p(-1).value


@functools.cache
def _calls() -> tuple[Any, Any, Any] | None:
    """Return the C library's ``mmap``, ``munmap`` and ``mincore``, or None where there is no such thing."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        map_file, unmap, look = libc.mmap, libc.munmap, libc.mincore
    except AttributeError:
        return None
    map_file.restype = ctypes.c_void_p
    integers = ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long
    map_file.argtypes = (ctypes.c_void_p, *integers)
    unmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    look.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)
    return map_file, unmap, look


class Residency:
    """What the page cache has of one open file.

    The file is mapped, but none of its pages ever touched: the mapping is only what the kernel is asked about.

    Args:
        fd: The file.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._is_told = _may_ask(fd) and _calls() is not None
        self._start = self._length = 0
        self._pages = ctypes.create_string_buffer(_MOST // _PAGE + 1)

    def has(self, offset: int, length: int) -> bool:
        """Say whether the page cache has all of a range; not of one that is longer than a few MiB, or past the end."""
        end = offset + length
        if not self._is_told or length > _MOST or not self._reaches(end):
            return False
        calls = _calls()
        assert calls is not None
        start = align_down(offset, _PAGE)
        pages = align_up(end - start, _PAGE) // _PAGE
        if calls[2](self._start + start, end - start, self._pages):
            return False
        return self._pages.raw.count(_PRESENT, 0, pages) == pages

    def _reaches(self, end: int) -> bool:
        if end <= self._length:
            return True
        self.close()
        calls = _calls()
        assert calls is not None
        length = align_up(end, _STEP)
        start = calls[0](None, length, mmap.PROT_READ, mmap.MAP_SHARED, self._fd, 0)
        if start in (None, _FAILED):
            self._is_told = False
            return False
        self._start, self._length = start, length
        return True

    def close(self) -> None:
        """Let go of the file."""
        if self._length:
            calls = _calls()
            assert calls is not None
            calls[1](self._start, self._length)
            self._start = self._length = 0


def _may_ask(fd: int) -> bool:
    if os.fstat(fd).st_uid == os.geteuid() or os.geteuid() == 0:
        return True
    return os.access(f"/proc/self/fd/{fd}", os.W_OK, effective_ids=True)
