"""Choose the descriptor that serves an image, as its users and its read-only state change.

QEMU: a node that is read-write with `auto-read-only` is opened read-only, and opened again for writing
when the first user wants to write, and back.  At every change the locks pass from one descriptor to the
next without a gap: the old one asks whether others object, because its own locks are not in its way;
the new one then takes the same bytes, and the old one closes.
"""

from typing import NamedTuple

from qmpserver import threads
from qmpserver.driver_api.permissions import PERM_ALL, PERM_NONE, Permission, PermissionSet
from qmpserver.drivers.file.handle import Handle, OpenMode, SupportsFdSets, open_handle
from qmpserver.drivers.file.kinds import REGULAR, FileKind
from qmpserver.drivers.file.locks import ImageLocked

_WRITING = Permission.WRITE | Permission.WRITE_UNCHANGED | Permission.RESIZE
_CHANGING = Permission.WRITE | Permission.RESIZE


class AccessPolicy(NamedTuple):
    """How a node wants its file opened.

    Attributes:
        read_only: Never for writing.
        is_automatic: For writing only while somebody writes.
        direct: Bypassing the page cache.
    """

    read_only: bool
    is_automatic: bool
    direct: bool

    def mode(self, used: Permission) -> OpenMode:
        """Return the mode that suits users who hold `used`."""
        writable = not self.read_only and (not self.is_automatic or bool(used & _WRITING))
        return OpenMode(writable, self.direct)


class Access:
    """The descriptor in use, and those prepared to follow it.

    Use :meth:`open` to make one.

    Attributes:
        handle: The descriptor in use.
        policy: How the node wants its file opened.
        permissions: What all users of the node hold and share; the locks say the same to others.
        others_change: Somebody else may write the file, or change its length.
    """

    def __init__(
        self,
        filename: str,
        locking: str,
        fd_sets: SupportsFdSets | None,
        policy: AccessPolicy,
        handle: Handle,
        *,
        kind: FileKind,
    ) -> None:
        self._filename = filename
        self._locking = locking
        self._fd_sets = fd_sets
        self._kind = kind
        self.handle = handle
        self.policy = policy
        self.permissions = PermissionSet(PERM_NONE, PERM_ALL)
        self.others_change = True
        self._prepared = self.permissions
        self._for_permissions: Handle | None = None
        self._for_reopen: Handle | None = None
        self._old_policy = policy

    @classmethod
    async def open(
        cls,
        filename: str,
        locking: str,
        fd_sets: SupportsFdSets | None,
        policy: AccessPolicy,
        kind: FileKind = REGULAR,
    ) -> "Access":
        """Open the file for a node without users.

        Raises:
            QMPError: It cannot be opened.
        """
        handle = await threads.run(open_handle, filename, policy.mode(PERM_NONE), locking, fd_sets, kind)
        return cls(filename, locking, fd_sets, policy, handle, kind=kind)

    def close(self) -> None:
        """Close the descriptor and let go of the locks."""
        self.handle.close()

    async def _open(self, mode: OpenMode) -> Handle:
        return await threads.run(open_handle, self._filename, mode, self._locking, self._fd_sets, self._kind)

    # Permissions

    async def prepare_permissions(self, permissions: PermissionSet) -> None:
        """Take the locks that `permissions` needs in addition, and open a descriptor that can serve it.

        Raises:
            QMPError: Another process objects, or the file cannot be opened; nothing has changed.
        """
        self._prepared = permissions
        successor = self._for_reopen or self.handle
        mode = self.policy.mode(permissions.used)
        if successor is self.handle and successor.mode == mode and permissions == self.permissions:
            return
        try:
            if self.handle.lock is not None:
                await threads.run(self.handle.lock.acquire_checked, permissions)
            if successor.mode != mode:
                successor = self._for_permissions = await self._open(mode)
            if successor is not self.handle and successor.lock is not None:
                await threads.run(successor.lock.acquire, permissions)
        except BaseException as error:
            if isinstance(error, ImageLocked):
                error.found_at(self._filename)
            self.abort_permissions()
            raise

    def commit_permissions(self) -> None:
        """Let the prepared descriptor serve, and unlock what is no longer needed."""
        self.permissions = self._prepared
        # Not asked of the permissions each time: a request asks for it, and arithmetic on flags is slow.
        self.others_change = bool(self.permissions.shared & _CHANGING)
        successor = self._for_permissions or self._for_reopen
        if successor is not None:
            self._succeed(successor)
        if self.handle.lock is not None:
            self.handle.lock.reduce(self.permissions)

    def abort_permissions(self) -> None:
        """Go back to the locks and the descriptor of before."""
        self._prepared = self.permissions
        if self._for_permissions is not None:
            self._for_permissions.close()
            self._for_permissions = None
        if self._for_reopen is not None and self._for_reopen.lock is not None:
            self._for_reopen.lock.restore(frozenset())
        if self.handle.lock is not None:
            self.handle.lock.reduce(self.permissions)

    # Reopening

    async def prepare_reopen(self, policy: AccessPolicy) -> None:
        """Open a descriptor for another policy; until it is committed the old one serves.

        Raises:
            QMPError: The file cannot be opened so; nothing has changed.
        """
        mode = policy.mode(self.permissions.used)
        if mode != self.handle.mode:
            self._for_reopen = await self._open(mode)
        self._old_policy, self.policy = self.policy, policy

    async def commit_reopen(self) -> None:
        """Let the descriptor for the new policy serve, unless a change of permissions already has."""
        successor = self._for_reopen
        if successor is not None:
            if successor.lock is not None:
                await threads.run(successor.lock.acquire, self.permissions)
            self._succeed(successor)

    def abort_reopen(self) -> None:
        """Go back to the policy of before."""
        self.policy = self._old_policy
        if self._for_reopen is not None:
            self._for_reopen.close()
            self._for_reopen = None

    def _succeed(self, successor: Handle) -> None:
        self.handle.close()
        if self._for_reopen is not None and self._for_reopen is not successor:
            self._for_reopen.close()
        self._for_permissions = self._for_reopen = None
        self.handle = successor
