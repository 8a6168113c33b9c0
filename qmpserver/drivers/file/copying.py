"""Copy from file to file within the host.  Everything here may block."""

import errno
import os
import sys
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Final

from qmpserver import threads
from qmpserver.driver_api.extras import CopiedRange
from qmpserver.drivers.file.io import aligned_memory, write_fully
from qmpserver.drivers.file.space import EXT_MAGIC, file_system_magic, make_room
from qmpserver.file_range import seems_zero
from qmpserver.units import KiB
from qmpserver.zeroes import is_zero

_Piece = tuple[int, int, int, int]
"""A :data:`CopiedRange` that is a part of one; before the first part, room is made for the whole range, of so many bytes."""

PIECE: Final = 512 * KiB
"""Bytes that are read and written in turn: few enough to stay in the processor's cache between the two."""

SHORTEST_SHARED: Final = 4 * PIECE
"""Bytes that are worth a second thread: while one writes, which the kernel lets one at a time, the other reads."""

_CANNOT_COPY: Final = frozenset((errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF))
_copy_file_range = getattr(os, "copy_file_range", None)


def is_better_in_pieces(fd: int) -> bool:
    """Say whether the file system of `fd` can only copy as :func:`copy_in_pieces` does, and slower.

    Others may share blocks between files, or have a server copy.  Of ext it is known that they do not: the kernel
    moves some pages at a time, and keeps the file to itself while it does.
    """
    return sys.platform == "linux" and file_system_magic(fd) == EXT_MAGIC


def copy_by_kernel(fd: int, source: int, ranges: Sequence[CopiedRange], unit: int) -> bool:
    """Have the kernel copy ranges from another file; say whether it did.

    It is not asked to where a piece of `unit` bytes may be all zeroes, judged by a few bytes of each.

    Raises:
        OSError: They cannot be read or written.
    """
    if _may_be_zeroes(source, ranges, unit):
        return False
    return all(_copy_one_by_kernel(fd, source, range_) for range_ in ranges)


def _copy_one_by_kernel(fd: int, source: int, range_: CopiedRange) -> bool:
    if _copy_file_range is None:
        return False
    start, offset, length = range_
    while length:
        try:
            moved = _copy_file_range(source, fd, length, start, offset)
        except OSError as error:
            if error.errno in _CANNOT_COPY:
                return False
            raise
        if not moved:
            return False
        start, offset, length = start + moved, offset + moved, length - moved
    return True


def copy_in_pieces(fd: int, source: int, ranges: Sequence[CopiedRange], unit: int) -> bool:
    """Do the same by reading and writing.  While some threads write others read, so several calls are worth while.

    Raises:
        OSError: As :func:`copy_by_kernel`.
    """
    return not _may_be_zeroes(source, ranges, unit) and _copy(fd, source, _cut(ranges), 0)


def copy_side_by_side(fd: int, source: int, ranges: Sequence[CopiedRange], unit: int) -> bool:
    """Do the same by two threads, for whoever does nothing else meanwhile.

    Zeroes are found on the way, when some of it has been copied.

    Raises:
        OSError: As :func:`copy_by_kernel`.
    """
    copy = partial(_copy, fd, source, _cut(ranges), unit)
    if sum(length for _, _, length in ranges) < SHORTEST_SHARED:
        return copy()
    return all(threads.helper().both(copy, copy))


def _cut(ranges: Sequence[CopiedRange]) -> deque[_Piece]:
    """Cut ranges into pieces, which several threads may take in turn."""
    pieces: deque[_Piece] = deque()
    for start, offset, length in ranges:
        room = length
        for done in range(0, length, PIECE):
            pieces.append((start + done, offset + done, min(PIECE, length - done), room))
            room = 0
    return pieces


def _copy(fd: int, source: int, pieces: deque[_Piece], zero_unit: int) -> bool:
    """Copy pieces until none is left, or one has a part of `zero_unit` bytes that are all zeroes, unless that is 0.

    Returns:
        Whether all pieces taken here were copied.  If not, nobody finds any more to take.
    """
    memory = aligned_memory()
    while True:
        try:
            start, offset, length, room = pieces.popleft()
        except IndexError:
            return True
        data = memory[:length]
        if os.preadv(source, (data,), start) < length or (zero_unit and _has_zeroes(data, zero_unit)):
            pieces.clear()
            return False
        if room:
            make_room(fd, offset, room)
        write_fully(fd, offset, data)


def _has_zeroes(data: memoryview, unit: int) -> bool:
    """Say whether a piece of `unit` bytes, or of what there is, is all zeroes."""
    # Their first bytes tell of nearly all pieces that they are not.
    if 0 not in bytes(data[::unit]):
        return False
    return any(is_zero(data[start : start + unit]) for start in range(0, len(data), unit))


def _may_be_zeroes(fd: int, ranges: Sequence[CopiedRange], unit: int) -> bool:
    """Look at a few bytes of each piece of `unit` bytes."""
    return any(
        seems_zero(fd, middle)
        for start, _, length in ranges
        for middle in range(start + unit // 2, start + length, unit)
    )
