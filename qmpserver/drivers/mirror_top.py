"""The `mirror_top` filter: stands over a node that is mirrored, so that the job sees each change to it.

Only jobs put it in.  Option: `is-commit`, for a node that is committed while it is written.
"""

from collections.abc import Awaitable
from typing import ClassVar, Self

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.interception import Change, Interceptor, Writable
from qmpserver.driver_api.opening import ChildSpec, OpenContext
from qmpserver.driver_api.permissions import ChildRole, Permission, PermissionSet
from qmpserver.drivers.filter import FilterDriver

FILTERED_BACKING = ChildSpec("backing", ChildRole.FILTERED | ChildRole.PRIMARY)
"""QEMU: what these filters stand over is called `backing`."""


class MirrorTopDriver(FilterDriver):
    """A filter that has its interceptor carry out what changes the node.

    Attributes:
        interceptor: The job, while it works.
    """

    format_name: ClassVar[str] = "mirror_top"
    filtered_child: ClassVar[str] = "backing"
    bears_name_of_filtered: ClassVar[bool] = True
    child_specs: ClassVar[tuple[ChildSpec, ...]] = (FILTERED_BACKING,)

    def __init__(self, source: BlockChild, *, is_commit: bool) -> None:
        super().__init__(source)
        self._is_commit = is_commit
        self.interceptor: Interceptor | None = None

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        """Open the filter."""
        source = context.child("backing")
        assert source is not None
        return cls(source, is_commit=context.options.get("is-commit", False))

    def child_permissions(self, child: str, used: Permission, shared: Permission) -> PermissionSet | None:
        """Ask for what our users ask; what is being committed is in no one state that could be read below.

        QEMU: it lets others write to a node that is mirrored as well, and does not copy what they write.
        """
        if self._is_commit:
            # A node whose writes are barred bars them for its backing nodes too, and one of these is the target.
            allowed = Permission.CONSISTENT_READ | Permission.WRITE
            return PermissionSet(used & ~Permission.CONSISTENT_READ, shared | allowed)
        if self.interceptor is not None:
            shared &= ~Permission.WRITE
        return PermissionSet(used, shared)

    @property
    def can_grow(self) -> bool:
        """The size stays as it is while the node is mirrored."""
        return False

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        """Store `data` in the node below."""

        def change(target: Writable) -> Awaitable[None]:
            return target.pwrite(offset, data, flags)

        await self._carry_out(change, offset, len(data))

    async def pwrite_zeroes(self, offset: int, length: int, flags: int) -> None:
        """Make the range of the node below zero."""

        def change(target: Writable) -> Awaitable[None]:
            return target.pwrite_zeroes(offset, length, flags)

        await self._carry_out(change, offset, length)

    async def pdiscard(self, offset: int, length: int) -> None:
        """Discard the range of the node below."""
        if self.interceptor is None:
            await self._file.pdiscard(offset, length)
        else:
            await self.interceptor.discard(self._file, offset, length)

    async def _carry_out(self, change: Change, offset: int, length: int) -> None:
        if self.interceptor is None:
            await change(self._file)
        else:
            await self.interceptor.carry_out(change, self._file, offset, length)
