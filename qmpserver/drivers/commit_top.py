"""The `commit_top` filter: stands between an overlay and the layers below it that are being committed.

Only jobs put it in.  It hides from the overlay's users that those layers' own data is in motion.
"""

from typing import ClassVar, Self

from qmpserver.driver_api.opening import ChildSpec, OpenContext
from qmpserver.driver_api.permissions import PERM_ALL, PERM_NONE, Permission, PermissionSet
from qmpserver.drivers.filter import FilterDriver
from qmpserver.drivers.mirror_top import FILTERED_BACKING


class CommitTopDriver(FilterDriver):
    """A filter that is only read, and only ever opened read-only."""

    format_name: ClassVar[str] = "commit_top"
    filtered_child: ClassVar[str] = "backing"
    bears_name_of_filtered: ClassVar[bool] = True
    child_specs: ClassVar[tuple[ChildSpec, ...]] = (FILTERED_BACKING,)

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        """Open the filter."""
        top = context.child("backing")
        assert top is not None
        return cls(top)

    def child_permissions(self, child: str, used: Permission, shared: Permission) -> PermissionSet | None:
        """Ask for nothing and allow everything: the job below sees to it that reads stay true."""
        return PermissionSet(PERM_NONE, PERM_ALL)
