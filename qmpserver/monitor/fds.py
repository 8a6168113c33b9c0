"""Keep the descriptors that clients pass over UNIX sockets, by name or in sets."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterable
from typing import Any

from qmpserver.errors import ParameterError, QMPError

MAX_UNCLAIMED = 253
"""As many descriptors as the kernel passes with one message."""


def close_all(fds: Iterable[int]) -> None:
    """Close descriptors, whatever becomes of each."""
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)


class FdStore:
    """The descriptors of one client: those that came last, and those it has given a name."""

    def __init__(self) -> None:
        self._unclaimed: list[int] = []
        self._named: dict[str, int] = {}

    def arrive(self, fds: list[int]) -> None:
        """Take in what came with a message; what came before and was not claimed is closed."""
        close_all(self._unclaimed)
        self._unclaimed = fds

    def take(self) -> int:
        """Hand over the next descriptor that was passed; it is the caller's from now on.

        Raises:
            QMPError: There is none.
        """
        if not self._unclaimed:
            raise QMPError("No file descriptor supplied via SCM_RIGHTS")
        return self._unclaimed.pop(0)

    def getfd(self, name: str) -> None:
        """Give the next descriptor a name; one that had the name before is closed.

        Raises:
            QMPError: None was passed, or the name begins with a digit (then it is closed).
        """
        fd = self.take()
        if name[:1].isdigit():
            os.close(fd)
            raise ParameterError("Parameter 'fdname' expects a name not starting with a digit")
        close_all([self._named[name]] if name in self._named else [])
        self._named[name] = fd

    def closefd(self, name: str) -> None:
        """Close a named descriptor.

        Raises:
            QMPError: There is none of that name.
        """
        close_all([self.claim(name)])

    def claim(self, name: str) -> int:
        """Hand over a named descriptor; it is the caller's from now on, and has no name any more.

        Raises:
            QMPError: There is none of that name.
        """
        fd = self._named.pop(name, None)
        if fd is None:
            raise QMPError(f"File descriptor named '{name}' not found")
        return fd

    def close(self) -> None:
        """Close everything that is left."""
        close_all([*self._unclaimed, *self._named.values()])
        self._unclaimed = []
        self._named = {}


class FdSets:
    """Sets of descriptors for one file, opened in different modes; ``/dev/fdset/ID`` opens one of them.

    QEMU: a set whose last user is gone is closed when no client is connected; here it stays, once it
    has been opened, until it is removed.
    """

    def __init__(self) -> None:
        self._clients = 0
        self._sets: dict[int, dict[int, str | None]] = {}
        self._used: set[int] = set()

    def add(self, fd: int, fdset_id: int | None = None, opaque: str | None = None) -> dict[str, Any]:
        """Put a descriptor in a set, a new one with the lowest free number unless told which.

        Args:
            fd: The descriptor, which is closed if it cannot be added.
            fdset_id: The set, which need not exist.
            opaque: A note for clients.

        Returns:
            ``AddfdInfo``.

        Raises:
            QMPError: The set's number is negative.
        """
        if fdset_id is not None and fdset_id < 0:
            close_all([fd])
            raise ParameterError("Parameter 'fdset-id' expects a non-negative value")
        if fdset_id is None:
            fdset_id = next(number for number in range(len(self._sets) + 1) if number not in self._sets)
        self._sets.setdefault(fdset_id, {})[fd] = opaque
        return {"fd": fd, "fdset-id": fdset_id}

    def remove(self, fdset_id: int, fd: int | None = None) -> None:
        """Close one descriptor of a set, or all.

        Raises:
            QMPError: There is no such set, or nothing like that in it.
        """
        members = self._sets.get(fdset_id)
        if members is None or (fd is not None and fd not in members):
            named = f"fdset-id:{fdset_id}" + ("" if fd is None else f", fd:{fd}")
            raise QMPError(f"File descriptor named '{named}' not found")
        removed = list(members) if fd is None else [fd]
        for each in removed:
            del members[each]
        close_all(removed)
        if not members:
            del self._sets[fdset_id]
            self._used.discard(fdset_id)

    def query(self) -> list[dict[str, Any]]:
        """Return ``FdsetInfo`` for each set, the highest number first."""
        return [
            {"fdset-id": fdset_id, "fds": [_fd_info(fd, opaque) for fd, opaque in members.items()]}
            for fdset_id, members in sorted(self._sets.items(), reverse=True)
        ]

    def dup(self, fdset_id: int, flags: int) -> int:
        """Return a duplicate of a set's descriptor that is open in a mode; the caller closes it.

        Args:
            fdset_id: The set.
            flags: As for ``open``; only the access mode counts.

        Raises:
            OSError: ENOENT when there is no such set, EACCES when nothing in it has the mode.
        """
        members = self._sets.get(fdset_id)
        if members is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        for fd in members:
            if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == flags & os.O_ACCMODE:
                self._used.add(fdset_id)
                return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 0)
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    def client_came(self) -> None:
        """Count one more client who may use the sets."""
        self._clients += 1

    def client_left(self) -> None:
        """Count one less; with the last, the sets that were never opened are closed."""
        self._clients -= 1
        if self._clients == 0:
            self._close_except(self._used)

    def close(self) -> None:
        """Close everything."""
        self._close_except(set())
        self._used.clear()

    def _close_except(self, kept: set[int]) -> None:
        for fdset_id in [number for number in self._sets if number not in kept]:
            close_all(self._sets.pop(fdset_id))


def _fd_info(fd: int, opaque: str | None) -> dict[str, Any]:
    return {"fd": fd} if opaque is None else {"fd": fd, "opaque": opaque}
