"""Set a file's length, with or without room for what is new.  Everything here may block."""

import contextlib
import errno
import os

from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.drivers.file.io import write_fully
from qmpserver.units import MiB

_ZEROES = bytes(MiB)


def resize(fd: int, size: int, preallocation: Preallocation) -> None:
    """Set the length in bytes; what is new reads as zeroes.

    Raises:
        OSError: It cannot be had, and the old length stands; `strerror` is QEMU's text.
    """
    old = os.fstat(fd).st_size
    if preallocation is Preallocation.OFF:
        _set_length(fd, size)
        return
    if preallocation is Preallocation.METADATA:
        raise OSError(errno.ENOTSUP, f"Unsupported preallocation mode: {preallocation.value}")
    if size < old:
        raise OSError(errno.ENOTSUP, "Cannot use preallocation for shrinking files")
    try:
        if preallocation is Preallocation.FALLOC:
            _allocate(fd, old, size)
        else:
            _write_out(fd, old, size)
    except BaseException:
        # QEMU too cuts off what it could not complete.
        with contextlib.suppress(OSError):
            os.ftruncate(fd, old)
        raise


def _set_length(fd: int, size: int) -> None:
    try:
        os.ftruncate(fd, size)
    except OSError as error:
        raise _worded("Could not resize file", error) from error


def _allocate(fd: int, old: int, size: int) -> None:
    if size == old:
        return
    try:
        os.posix_fallocate(fd, old, size - old)
    except OSError as error:
        raise _worded("Could not preallocate new data", error) from error


def _write_out(fd: int, old: int, size: int) -> None:
    _set_length(fd, size)
    try:
        for start in range(old, size, len(_ZEROES)):
            write_fully(fd, start, memoryview(_ZEROES)[: size - start])
    except OSError as error:
        raise _worded("Could not write zeros for preallocation", error) from error
    try:
        os.fsync(fd)
    except OSError as error:
        raise _worded("Could not flush file to disk", error) from error


def _worded(what: str, error: OSError) -> OSError:
    number = error.errno or errno.EIO
    return OSError(number, f"{what}: {os.strerror(number)}")
