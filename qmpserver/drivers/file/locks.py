"""Take and test the byte-range locks by which QEMU's processes share an image file.

For each permission (bit number in :class:`~qmpserver.driver_api.permissions.Permission`) there are two
bytes: 100 + bit is locked by whoever holds the permission, 200 + bit by whoever does not let others
hold it.  All locks are shared ones, so that taking them never fails against another QEMU; whether
somebody else has a byte locked is asked for, by testing for an exclusive lock.
"""

import fcntl
import os
import struct
from collections.abc import Iterable
from typing import Final

from qmpserver.driver_api.permissions import Permission, PermissionSet
from qmpserver.errors import NodeInUse, QMPError

_USED_BASE: Final = 100
_UNSHARED_BASE: Final = 200

_FLOCK: Final = struct.Struct("@hhqqi4x")
"""``struct flock`` of 64-bit Linux: type, whence, start, length, pid."""


def lock_bytes(permissions: PermissionSet) -> frozenset[int]:
    """Return the offsets that stand for `permissions`."""
    used = (_USED_BASE + _bit(permission) for permission in permissions.used)
    unshared = (_UNSHARED_BASE + _bit(permission) for permission in ~permissions.shared)
    return frozenset((*used, *unshared))


def _bit(permission: Permission) -> int:
    return permission.value.bit_length() - 1


def _words(permission: Permission) -> str:
    return permission.wire_name.replace("-", " ")


class ImageLocked(NodeInUse):
    """Refuse because another process uses the image in a way that does not agree.

    Args:
        description: QEMU's text.
        fd: The image file, open.
        offset: The byte that the other process has locked.
    """

    code = "image-locked"

    def __init__(self, description: str, fd: int, offset: int) -> None:
        super().__init__(description)
        status = os.fstat(fd)
        self._lock = (status.st_dev, status.st_ino, offset)

    def found_at(self, filename: str) -> None:
        """Have the hint for a person say which file it is."""
        self.hint = f"Is another process using the image [{filename}]?"

    @property
    def details(self) -> dict[str, str | int]:
        """The code and, where it can be found out, the `pid` of the lock's holder, who may be this process."""
        from qmpserver.drivers.file.holders import find_holder  # noqa: PLC0415 - few locks are in the way

        pid = find_holder(*self._lock)
        return super().details if pid is None else {**super().details, "pid": pid}


class ImageLock:
    """The locks that one descriptor holds.

    Args:
        fd: The open image file.
        is_ofd: Locks belong to the open file (OFD locks) rather than to the process (POSIX locks).
    """

    def __init__(self, fd: int, *, is_ofd: bool) -> None:
        self._fd = fd
        self._set = fcntl.F_OFD_SETLK if is_ofd else fcntl.F_SETLK
        self._get = fcntl.F_OFD_GETLK if is_ofd else fcntl.F_GETLK
        self.held: frozenset[int] = frozenset()

    def acquire(self, permissions: PermissionSet) -> None:
        """Lock what `permissions` needs in addition to what is held, without asking others.

        Raises:
            QMPError: The file system or another program refuses; nothing has changed.
        """
        self._lock(lock_bytes(permissions) - self.held)

    def acquire_checked(self, permissions: PermissionSet) -> None:
        """Lock like :meth:`acquire`, and make sure that no other process objects.

        Raises:
            NodeInUse: One does, with QEMU's text; nothing has changed.
            QMPError: The file system or another program refuses; nothing has changed.
        """
        before = self.held
        self.acquire(permissions)
        # Locked first, asked afterwards: of two that come at once, at least one sees the other.
        try:
            self._check(permissions)
        except QMPError:
            self.restore(before)
            raise

    def reduce(self, permissions: PermissionSet) -> None:
        """Unlock what `permissions` does not need."""
        self.restore(lock_bytes(permissions))

    def restore(self, held: frozenset[int]) -> None:
        """Unlock everything but `held`."""
        extra = self.held - held
        for offset in extra:
            self._call(self._set, fcntl.F_UNLCK, offset)
        self.held -= extra

    def _lock(self, offsets: Iterable[int]) -> None:
        before = self.held
        for offset in sorted(offsets):
            try:
                self._call(self._set, fcntl.F_RDLCK, offset)
            except OSError as error:
                self.restore(before)
                raise QMPError(f"Failed to lock byte {offset}") from error
            self.held |= {offset}

    def _check(self, permissions: PermissionSet) -> None:
        for permission in permissions.used:
            self._refuse_if_locked(_UNSHARED_BASE + _bit(permission), f'"{_words(permission)}"')
        for permission in ~permissions.shared:
            self._refuse_if_locked(_USED_BASE + _bit(permission), f'shared "{_words(permission)}"')

    def _refuse_if_locked(self, offset: int, which: str) -> None:
        found: int = _FLOCK.unpack(self._call(self._get, fcntl.F_WRLCK, offset))[0]
        if found != fcntl.F_UNLCK:
            raise ImageLocked(f"Failed to get {which} lock", self._fd, offset)

    def _call(self, command: int, lock_type: int, offset: int) -> bytes:
        return fcntl.fcntl(self._fd, command, _FLOCK.pack(lock_type, 0, offset, 1, 0))


def make_lock(fd: int, locking: str) -> ImageLock | None:
    """Return the lock of an image file, or None when it is not to be locked.

    Args:
        fd: The open image file.
        locking: `on`, `off`, or `auto`: only where locks belong to the open file.  Locks of the
            process are lost as soon as any descriptor of the file is closed.
    """
    if locking == "off":
        return None
    if _has_ofd_locks(fd):
        return ImageLock(fd, is_ofd=True)
    return ImageLock(fd, is_ofd=False) if locking == "on" else None


def _has_ofd_locks(fd: int) -> bool:
    if not hasattr(fcntl, "F_OFD_GETLK"):
        return False
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _FLOCK.pack(fcntl.F_WRLCK, 0, 0, 1, 0))
    except OSError:
        return False
    return True
