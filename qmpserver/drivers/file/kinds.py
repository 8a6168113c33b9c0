"""Say what a driver of host files opens: regular files, or another kind."""

import stat
from collections.abc import Callable
from typing import NamedTuple

from qmpserver.driver_api.limits import Limits
from qmpserver.drivers.file.io import direct_alignment


class FileKind(NamedTuple):
    """What one driver takes.

    Attributes:
        driver: The driver's name, for refusals.
        requirement: What a file has to be, in words.
        accepts: Says of a file's mode, as ``os.stat`` has it, whether it is that.
        limits: Finds out what requests to an open file must look like, which may bypass the page cache.  May block.
        check_writable: Refuses an open file that was opened for writing and cannot be written all the same.
    """

    driver: str
    requirement: str
    accepts: Callable[[int], bool]
    limits: Callable[[int, bool], Limits]
    check_writable: Callable[[int], object] = lambda _fd: None


def _limits(fd: int, direct: bool) -> Limits:
    return Limits(request_alignment=direct_alignment(fd) if direct else 1)


REGULAR = FileKind("file", "a regular file", stat.S_ISREG, _limits)
"""What the `file` driver takes."""
