"""Read and write in place, on the event loop, what the page cache gives or takes at once.

Handing a call to a thread and its result back costs several times what copying a few pages does.  The kernel
says of a read whether it would have to wait (RWF_NOWAIT); of a write only on some file systems.  On others a write
is made all the same where it goes to the page cache of a local disk, and measured (:mod:`.stalls`).
"""

import errno
import os
import stat
import sys
from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Any, Final, TypeVar

from qmpserver.drivers.file.io import MOST_BUFFERS
from qmpserver.drivers.file.space import EXT_MAGIC, file_system_magic
from qmpserver.drivers.file.stalls import FAIR_NS, Stalls
from qmpserver.units import NS_PER_SECOND, KiB

if sys.platform == "linux":
    import resource

T = TypeVar("T")

MOST_READ: Final = 256 * KiB
"""Bytes of a read that is tried in place; copying more would hold up the event loop."""

MOST_WRITTEN: Final = 256 * KiB
"""The same of a write."""

MOST_GROWN: Final = 16 * KiB
"""The same of a write that makes the file longer."""

MOST_ZEROED: Final = 1024 * KiB
"""The same of what is made a hole, or zero: its pages are taken from the page cache one by one."""

WARY_TIMES: Final = 50
WARY_NS: Final = 10 * NS_PER_SECOND
"""For how many times as long as a slow call took, and how long at most, it is found out of others whether they wait, or
are only kept from the processor."""

_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)
_NO_NOWAIT: Final = frozenset((errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS))
_PAGE: Final = 4 * KiB

_LOCAL: Final = frozenset((EXT_MAGIC, 0x01021994, 0x794C7630))
"""Besides ext TMPFS_MAGIC and OVERLAYFS_SUPER_MAGIC of Linux: a server or a process of
somebody's never has to answer before a write returns."""


def _is_local(fd: int) -> bool:
    """Say whether a file is a regular one of a local file system.  A device's file system says nothing of it."""
    is_regular = stat.S_ISREG(os.fstat(fd).st_mode)
    return is_regular and sys.platform == "linux" and file_system_magic(fd) in _LOCAL


def count_sleeps() -> int:
    """Return how often this thread has given up the processor of its own accord, to wait for something."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw if sys.platform == "linux" else 0


class InPlace:
    """What can be done in place with one open file.

    Args:
        direct: The file bypasses the page cache, so everything waits for the disk.
        trusts_writes: Writes may be made in place though the file system cannot promise not to wait.
        now_ns: Tells the time in nanoseconds, since some moment.
        sleeps: Tells how often the thread has slept.
    """

    def __init__(
        self,
        *,
        direct: bool,
        trusts_writes: bool,
        now_ns: Callable[[], int] = perf_counter_ns,
        sleeps: Callable[[], int] = count_sleeps,
    ) -> None:
        self._asks_reads = self._asks_writes = bool(_NOWAIT) and not direct
        self._may_trust = self._asks_reads and trusts_writes
        self._is_trusted: bool | None = None
        """None until it is first wanted: to find out loads what a mere reader does without."""
        self._stalls = Stalls()
        self._long_calls = Stalls()
        self._now_ns = now_ns
        self._sleeps = sleeps
        self._wary_until = 0
        self._probe = memoryview(bytearray(1))

    def read(self, fd: int, offset: int, into: memoryview) -> int:
        """Read what is there without waiting; return how much that was."""
        if not self._asks_reads:
            return 0
        try:
            return os.preadv(fd, (into,), offset, _NOWAIT)
        except BlockingIOError:
            return 0
        except OSError as error:
            # Whatever else is wrong will show when it is read in earnest.
            self._asks_reads = error.errno not in _NO_NOWAIT
            return 0

    def write(self, fd: int, offset: int, buffers: Sequence[memoryview], length: int) -> int:
        """Write what can be written without waiting; return how much that was.

        Raises:
            OSError: It cannot be written; nothing was.
        """
        if self._asks_writes:
            try:
                return os.pwritev(fd, buffers[:MOST_BUFFERS], offset, _NOWAIT)
            except BlockingIOError:
                return 0
            except OSError as error:
                if error.errno not in _NO_NOWAIT:
                    raise
                self._asks_writes = False
        if not self._is_trusted and not self.trusts(fd):
            return 0
        began, end = self._now_ns(), offset + length
        if not self._stalls.is_over(began) or (
            (offset | end) % _PAGE and not self._has_edges(fd, offset, end)
        ):
            return 0
        slept = self._sleeps() if began < self._wary_until else None
        try:
            return os.pwritev(fd, buffers[:MOST_BUFFERS], offset)
        finally:
            self._note(began, slept)

    def call(self, function: Callable[..., T], fd: int, *args: Any) -> T | None:
        """Make a call about a file that hardly ever takes long, or return None where it has to be made in a thread.

        Raises:
            OSError: As the call does.
        """
        began = self._now_ns()
        if not self.trusts(fd) or not self._long_calls.is_over(began):
            return None
        try:
            return function(fd, *args)
        finally:
            # Whether it waits or works: others do not have their turn meanwhile.
            self._long_calls.note(began, self._now_ns())

    @property
    def is_held_back(self) -> bool:
        """Whether writes are left to threads only for a while, because they were slow."""
        return bool(self._is_trusted) and not self._stalls.is_over(self._now_ns())

    def trusts(self, fd: int) -> bool:
        """Say whether changes may be made in place though the file system cannot promise not to wait."""
        if self._is_trusted is None:
            self._is_trusted = self._may_trust and _is_local(fd)
        return self._is_trusted

    def _note(self, began: int, slept: int | None) -> None:
        """Take note of a call that began at that time, when the thread had slept so often, if that is known."""
        ended = self._now_ns()
        if ended - began > FAIR_NS:
            # To ask before each call would cost as much as a part of the call.
            self._wary_until = ended + min(WARY_TIMES * (ended - began), WARY_NS)
            if slept is None or self._sleeps() == slept:
                # Nothing says that it waited: another process may have had the processor, as it would in a thread.
                ended = began
        self._stalls.note(began, ended)

    def _has_edges(self, fd: int, offset: int, end: int) -> bool:
        """Say whether the pages that are replaced only in part need not be read first."""
        return (not offset % _PAGE or self._has_page(fd, offset)) and (
            not end % _PAGE or self._has_page(fd, end)
        )

    def _has_page(self, fd: int, offset: int) -> bool:
        try:
            os.preadv(fd, (self._probe,), offset - offset % _PAGE, _NOWAIT)
        except OSError:
            return False
        return True
