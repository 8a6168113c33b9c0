"""The `snapshot-access` driver: what a `copy-before-write` filter keeps, to be read as an image of its own.

Reads give `file` as it was when that filter was opened.  Discards, where the node passes them on, say that
clusters of it have been dealt with: they are not kept any longer and cannot be read again.  Nothing else
can be changed.
"""

from typing import Any, ClassVar, Self

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.driver import BlockDriver, not_supported
from qmpserver.driver_api.limits import Limits
from qmpserver.driver_api.opening import ChildSpec, OpenContext
from qmpserver.driver_api.permissions import PERM_ALL, PERM_NONE, ChildRole, Permission, PermissionSet
from qmpserver.driver_api.status import BlockStatus


class SnapshotAccessDriver(BlockDriver):
    """An image whose content is the past of another node."""

    format_name: ClassVar[str] = "snapshot-access"
    child_specs: ClassVar[tuple[ChildSpec, ...]] = (ChildSpec("file", ChildRole.DATA | ChildRole.PRIMARY),)

    def __init__(self, file: BlockChild) -> None:
        self._file = file

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        """Open the image; whether `file` keeps its past shows when it is read."""
        file = context.child("file")
        assert file is not None
        return cls(file)

    def child_permissions(self, child: str, used: Permission, shared: Permission) -> PermissionSet | None:
        """Ask for nothing: being a user makes the filter below hold what it needs."""
        del child, used, shared
        return PermissionSet(PERM_NONE, PERM_ALL)

    @property
    def size(self) -> int:
        """The size of `file`."""
        return self._file.size

    @property
    def limits(self) -> Limits:
        """Discards are of whole clusters below; everything else is taken as it comes."""
        file = self._file.limits
        return Limits(pdiscard_alignment=file.pdiscard_alignment, min_mem_alignment=file.min_mem_alignment)

    @property
    def exact_filename(self) -> str | None:
        """The name of `file`."""
        return self._file.filename

    def image_info(self) -> dict[str, Any]:
        """Show nothing of the image below, as QEMU does."""
        return {}

    async def pread(self, offset: int, into: memoryview, flags: int) -> None:
        """Fill `into` with what was there."""
        del flags
        await self._file.pread_snapshot(offset, into)

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        """Refuse: the past does not change."""
        raise not_supported()

    async def pdiscard(self, offset: int, length: int) -> None:
        """Let go of what was there."""
        await self._file.pdiscard_snapshot(offset, length)

    async def block_status(self, offset: int, length: int) -> BlockStatus:
        """Say what is known of what was there."""
        return await self._file.snapshot_block_status(offset, length)
