"""Read and write in full, whatever the kernel completes at once.  Everything here may block.

Interrupted calls are taken up again by Python itself.
"""

import errno
import functools
import mmap
import os
from collections.abc import Sequence
from typing import Any

from qmpserver.driver_api.vectors import split
from qmpserver.units import MiB

BOUNCE_SIZE = MiB
"""Bytes that pass through aligned memory at a time."""

MOST_BUFFERS = 1024
"""Buffers that the kernel takes at once."""

SAFE_ALIGNMENT = 4096
"""An alignment that every disk takes."""


def read_fully(fd: int, offset: int, into: memoryview) -> None:
    """Fill `into`; what lies past the end of the file is zeroes."""
    while into:
        done = os.preadv(fd, (into,), offset)
        if not done:
            into[:] = bytes(len(into))
            return
        offset += done
        into = into[done:]


def write_fully(fd: int, offset: int, data: memoryview) -> None:
    """Store all of `data`.

    Raises:
        OSError: ENOSPC also when the kernel took nothing without saying why.
    """
    while data:
        done = os.pwrite(fd, data, offset)
        if not done:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        offset += done
        data = data[done:]


def write_vector(fd: int, offset: int, buffers: Sequence[memoryview]) -> None:
    """Store buffers, one behind the other.

    Raises:
        OSError: As :func:`write_fully`.
    """
    while buffers:
        done = os.pwritev(fd, buffers[:MOST_BUFFERS], offset)
        if not done:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        offset += done
        _, buffers = split(buffers, done)


@functools.cache
def _own() -> Any:
    """Return what holds each thread's own memory; made when it is first wanted."""
    from threading import local  # noqa: PLC0415 - a tool that makes no thread may do without

    return local()


def aligned_memory() -> memoryview:
    """Return this thread's own BOUNCE_SIZE bytes at a page boundary, whatever they hold."""
    own = _own()
    try:
        memory: memoryview = own.memory
    except AttributeError:
        memory = own.memory = memoryview(mmap.mmap(-1, BOUNCE_SIZE))
    return memory


def read_direct(fd: int, offset: int, into: memoryview) -> None:
    """Fill `into` from a file opened with O_DIRECT; offset and length are aligned."""
    memory = aligned_memory()
    while into:
        piece = into[:BOUNCE_SIZE]
        read_fully(fd, offset, memory[: len(piece)])
        piece[:] = memory[: len(piece)]
        offset += len(piece)
        into = into[len(piece) :]


def write_direct(fd: int, offset: int, data: memoryview) -> None:
    """Store `data` in a file opened with O_DIRECT; offset and length are aligned."""
    memory = aligned_memory()
    while data:
        length = min(len(data), BOUNCE_SIZE)
        memory[:length] = data[:length]
        write_fully(fd, offset, memory[:length])
        offset += length
        data = data[length:]


def direct_alignment(fd: int) -> int:
    """Find the alignment that O_DIRECT asks of requests to `fd`, by trying.

    QEMU: where a single byte can be read there is a hole, which takes anything and so tells nothing.
    """
    memory = aligned_memory()
    for alignment in (1, 512, 1024, 2048, SAFE_ALIGNMENT):
        try:
            os.preadv(fd, (memory[:alignment],), 0)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        else:
            return alignment if alignment > 1 else SAFE_ALIGNMENT
    return SAFE_ALIGNMENT
