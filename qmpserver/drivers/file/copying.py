"""Copy from file to file within the host.  Everything here may block."""

import errno
import os
import sys
from functools import partial
from typing import Final

from qmpserver import threads
from qmpserver.drivers.file.io import aligned_memory, write_fully
from qmpserver.drivers.file.space import EXT_MAGIC, file_system_magic, make_room
from qmpserver.file_range import seems_zero
from qmpserver.units import KiB, align_up
from qmpserver.zeroes import is_zero

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


def copy_range(fd: int, offset: int, length: int, source: tuple[int, int], unit: int) -> bool:
    """Have the kernel copy from another file, given as descriptor and offset; say whether it did.

    It is not asked to where a piece of `unit` bytes may be all zeroes, judged by a few bytes of each.

    Raises:
        OSError: The range cannot be read or written.
    """
    source_fd, source_offset = source
    if _copy_file_range is None or _may_be_zeroes(source_fd, source_offset, length, unit):
        return False
    done = 0
    while done < length:
        try:
            moved = _copy_file_range(source_fd, fd, length - done, source_offset + done, offset + done)
        except OSError as error:
            if error.errno in _CANNOT_COPY:
                return False
            raise
        if not moved:
            return False
        done += moved
    return True


def copy_in_pieces(fd: int, offset: int, length: int, source: tuple[int, int], unit: int) -> bool:
    """Do the same by reading and writing.  While some threads write others read, so several calls are worth while.

    Raises:
        OSError: As :func:`copy_range`.
    """
    return not _may_be_zeroes(*source, length, unit) and _copy(fd, offset, length, source, 0)


def copy_side_by_side(fd: int, offset: int, length: int, source: tuple[int, int], unit: int) -> bool:
    """Do the same by two threads, for whoever does nothing else meanwhile.

    Zeroes are found on the way, when some of it has been copied.

    Raises:
        OSError: As :func:`copy_range`.
    """
    if length < SHORTEST_SHARED:
        return _copy(fd, offset, length, source, unit)
    first = align_up(length // 2, PIECE)
    source_fd, source_offset = source
    place = source_fd, source_offset + first
    return all(
        threads.helper().both(
            partial(_copy, fd, offset, first, source, unit),
            partial(_copy, fd, offset + first, length - first, place, unit),
        )
    )


def _copy(fd: int, offset: int, length: int, source: tuple[int, int], zero_unit: int) -> bool:
    """Copy, up to a piece of `zero_unit` bytes that is all zeroes unless that is 0; say whether all was copied."""
    source_fd, source_offset = source
    memory = aligned_memory()[:PIECE]
    done = 0
    while done < length:
        taken = os.preadv(source_fd, (memory[: length - done],), source_offset + done)
        if not taken or (zero_unit and _has_zeroes(memory[:taken], zero_unit)):
            return False
        if not done:
            make_room(fd, offset, length)
        write_fully(fd, offset + done, memory[:taken])
        done += taken
    return True


def _has_zeroes(data: memoryview, unit: int) -> bool:
    """Say whether a piece of `unit` bytes, or of what there is, is all zeroes."""
    # Their first bytes tell of nearly all pieces that they are not.
    if 0 not in bytes(data[::unit]):
        return False
    return any(is_zero(data[start : start + unit]) for start in range(0, len(data), unit))


def _may_be_zeroes(fd: int, offset: int, length: int, unit: int) -> bool:
    """Look at a few bytes of each piece of `unit` bytes."""
    middles = range(offset + unit // 2, offset + length, unit)
    return any(seems_zero(fd, middle) for middle in middles)
