"""Hold one open descriptor of an image file, with its locks."""

import errno
import os
import re
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from qmpserver.driver_api.limits import Limits
from qmpserver.drivers.file.kinds import REGULAR, FileKind
from qmpserver.drivers.file.locks import ImageLock, make_lock
from qmpserver.errors import QMPError, error_text

if TYPE_CHECKING:  # it needs ctypes, which who sends no files does without
    from qmpserver.drivers.file.residency import Residency

_FDSET_PREFIX = "/dev/fdset/"
_O_DIRECT = getattr(os, "O_DIRECT", 0)


@runtime_checkable
class SupportsFdSets(Protocol):
    """An opening context that knows the descriptors which clients have passed (``add-fd``)."""

    def fdset_dup(self, set_id: int, flags: int) -> int:
        """Return a new descriptor of the set's member that was opened with the access of `flags`.

        Raises:
            QMPError: There is no such set.
            OSError: No member of it has that access.
        """


class OpenMode(NamedTuple):
    """What a descriptor is for.

    Attributes:
        writable: It may be written.
        direct: It bypasses the page cache.
    """

    writable: bool
    direct: bool

    @property
    def flags(self) -> int:
        """The flags of ``open``."""
        access = os.O_RDWR if self.writable else os.O_RDONLY
        return access | os.O_CLOEXEC | (_O_DIRECT if self.direct else 0)


class Handle:
    """A descriptor that closes when it is no longer wanted and its last request has ended.

    Attributes:
        fd: The descriptor; -1 once it is closed, since its number may stand for another file then.
        mode: What it is for.
        lock: Its locks, or None when the file is not locked.
        limits: What its requests must look like.
    """

    __slots__ = ("_is_closing", "_requests", "_residency", "fd", "limits", "lock", "mode")

    def __init__(self, fd: int, mode: OpenMode, lock: ImageLock | None, limits: Limits) -> None:
        self.fd = fd
        self.mode = mode
        self.lock = lock
        self.limits = limits
        self._requests = 0
        self._residency: Residency | None = None
        self._is_closing = False

    def begin(self) -> int:
        """Count a request and return the descriptor for it.

        Raises:
            OSError: EBADF when it is closed.
        """
        if self.fd < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        self._requests += 1
        return self.fd

    def is_in_memory(self, offset: int, length: int) -> bool:
        """Say whether the page cache is known to have all of a range."""
        if self._residency is None:
            from qmpserver.drivers.file.residency import Residency  # noqa: PLC0415 - see above

            self._residency = Residency(self.fd)
        return self._residency.has(offset, length)

    def end(self) -> None:
        """Say that a request has ended."""
        self._requests -= 1
        if self._is_closing and not self._requests:
            self._close_now()

    def close(self) -> None:
        """Drop the locks now, and close the descriptor once no request uses it."""
        self._is_closing = True
        if not self._requests:
            self._close_now()
        elif self.lock is not None:
            # Left in place they would be in the way of the descriptor that succeeds this one.
            self.lock.restore(frozenset())

    def _close_now(self) -> None:
        if self._residency is not None:
            self._residency.close()
        fd, self.fd = self.fd, -1
        os.close(fd)


def open_handle(
    filename: str, mode: OpenMode, locking: str, fd_sets: SupportsFdSets | None, kind: FileKind = REGULAR
) -> Handle:
    """Open an image file.  May block.

    Args:
        filename: A path, or ``/dev/fdset/N`` for a descriptor that a client has passed.
        mode: What the descriptor is for.
        locking: `on`, `off` or `auto`.
        fd_sets: Where passed descriptors are, if anywhere.
        kind: What it has to be.

    Raises:
        QMPError: It cannot be opened or is of another kind; the text is QEMU's.
    """
    fd = _open(filename, mode, fd_sets)
    try:
        if not kind.accepts(os.fstat(fd).st_mode):
            raise QMPError(f"'{kind.driver}' driver requires '{filename}' to be {kind.requirement}")
        if mode.writable:
            kind.check_writable(fd)
        return Handle(fd, mode, make_lock(fd, locking), kind.limits(fd, mode.direct))
    except OSError as error:
        os.close(fd)
        raise QMPError(f"Could not open '{filename}': {error_text(error)}") from error
    except BaseException:
        os.close(fd)
        raise


def _open(filename: str, mode: OpenMode, fd_sets: SupportsFdSets | None) -> int:
    try:
        if filename.startswith(_FDSET_PREFIX):
            return _from_fd_set(filename, mode, fd_sets)
        # Without O_NONBLOCK, opening a FIFO would wait for somebody at its other end.
        fd = os.open(filename, mode.flags | os.O_NONBLOCK)
        os.set_blocking(fd, True)
    except OSError as error:
        if error.errno == errno.EINVAL and mode.direct:
            raise QMPError(f"Could not open '{filename}': filesystem does not support O_DIRECT") from error
        raise QMPError(f"Could not open '{filename}': {error_text(error)}") from error
    except ValueError as error:
        raise QMPError(f"Could not open '{filename}': {error}") from error
    return fd


def _from_fd_set(filename: str, mode: OpenMode, fd_sets: SupportsFdSets | None) -> int:
    number = filename.removeprefix(_FDSET_PREFIX)
    if not re.fullmatch("[0-9]+", number):
        raise QMPError(f"Could not parse fdset {filename}")
    if fd_sets is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    return fd_sets.fdset_dup(int(number), mode.flags)
