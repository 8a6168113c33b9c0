"""The `copy-on-read` filter: what is read from below `file` is stored in `file` on the way.

Option: `bottom`, the node down to which data counts as below; deeper data is read but not stored.
"""

from typing import ClassVar, Self

from qmpserver.driver_api import flags as request_flags
from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.driver import BlockDriver
from qmpserver.driver_api.limits import Limits
from qmpserver.driver_api.opening import ChildSpec, OpenContext
from qmpserver.driver_api.permissions import ChildRole, Permission, PermissionSet
from qmpserver.driver_api.status import BlockStatus
from qmpserver.errors import QMPError


class CopyOnReadDriver(BlockDriver):
    """A filter that makes reads copy.

    Attributes:
        bottom_node_name: The lowest node whose data is copied, or None to copy from everywhere.
    """

    format_name: ClassVar[str] = "copy-on-read"
    is_filter: ClassVar[bool] = True
    child_specs: ClassVar[tuple[ChildSpec, ...]] = (
        ChildSpec("file", ChildRole.FILTERED | ChildRole.PRIMARY),
    )

    def __init__(self, file: BlockChild, bottom_node_name: str | None) -> None:
        self._file = file
        self.bottom_node_name = bottom_node_name

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        """Open the filter.

        Raises:
            QMPError: `bottom` is no node of the chain below.
        """
        file = context.child("file")
        assert file is not None
        bottom = context.options.get("bottom")
        if bottom is not None:
            is_below = context.is_in_chain("file", bottom)
            if is_below is None:
                raise QMPError(f"Bottom node '{bottom}' not found")
            if not is_below:
                # QEMU: 11.1 ends the whole process here.
                raise QMPError(f"Bottom node '{bottom}' is not in the chain of '{file.node_name}'")
        return cls(file, bottom)

    def child_permissions(self, child: str, used: Permission, shared: Permission) -> PermissionSet | None:
        """Ask for what our users ask, and to store what reads the same afterwards."""
        return PermissionSet(used | Permission.WRITE_UNCHANGED, shared | Permission.WRITE_UNCHANGED)

    @property
    def size(self) -> int:
        """The size of `file`."""
        return self._file.size

    @property
    def limits(self) -> Limits:
        """Discards go down as they are; everything else is taken as it comes."""
        return Limits(pdiscard_alignment=self._file.limits.pdiscard_alignment)

    @property
    def can_grow(self) -> bool:
        """It grows if `file` does, which refuses by itself if it cannot."""
        return True

    async def pread(self, offset: int, into: memoryview, flags: int) -> None:
        """Fill `into`, and have `file` store what it does not hold itself."""
        bottom = self.bottom_node_name
        if bottom is None:
            await self._file.pread(offset, into, flags | request_flags.COPY_ON_READ)
            return
        while into:
            is_above, length = await self._file.is_allocated_above(bottom, offset, len(into))
            # A run of nothing ends the range: what is past the end is zeroes, and not worth storing.
            part = into[:length] if length else into
            await self._read_run(offset, part, flags, copies=is_above)
            offset += len(part)
            into = into[len(part) :]

    async def _read_run(self, offset: int, into: memoryview, flags: int, *, copies: bool) -> None:
        if copies:
            await self._file.pread(offset, into, flags | request_flags.COPY_ON_READ)
        elif not flags & request_flags.PREFETCH:
            await self._file.pread(offset, into, flags)

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        """Store `data` in `file`."""
        await self._file.pwrite(offset, data, flags)

    async def pwrite_zeroes(self, offset: int, length: int, flags: int) -> None:
        """Make the range of `file` zero."""
        await self._file.pwrite_zeroes(offset, length, flags)

    async def pdiscard(self, offset: int, length: int) -> None:
        """Discard the range of `file`."""
        await self._file.pdiscard(offset, length)

    async def block_status(self, offset: int, length: int) -> BlockStatus:
        """Say what `file` says."""
        return await self._file.block_status(offset, length)

    async def flush(self) -> None:
        """Flush `file`."""
        await self._file.flush()

    async def truncate(self, size: int) -> None:
        """Set the size of `file`."""
        await self._file.truncate(size)

    async def allocated_size(self) -> int | None:
        """Return what `file` occupies."""
        return await self._file.allocated_size()
