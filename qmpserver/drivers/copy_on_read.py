"""The `copy-on-read` filter: what is read from below `file` is stored in `file` on the way.

Option: `bottom`, the node down to which data counts as below; deeper data is read but not stored.
"""

from typing import ClassVar, Self

from qmpserver.driver_api import flags as request_flags
from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.opening import OpenContext
from qmpserver.driver_api.permissions import Permission, PermissionSet
from qmpserver.drivers.filter import FilterDriver
from qmpserver.errors import QMPError


class CopyOnReadDriver(FilterDriver):
    """A filter that makes reads copy.

    Attributes:
        bottom_node_name: The lowest node whose data is copied, or None to copy from everywhere.
    """

    format_name: ClassVar[str] = "copy-on-read"

    def __init__(self, file: BlockChild, bottom_node_name: str | None) -> None:
        super().__init__(file)
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
