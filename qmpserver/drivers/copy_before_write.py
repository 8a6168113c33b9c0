"""The `copy-before-write` filter: what is about to change in `file` is first copied to `target`.

Options: `bitmap` (keep only what it has marked), `on-cbw-error` (fail the write, or give up the point in
time), `cbw-timeout` (seconds), `min-cluster-size`.  What was kept is read through a `snapshot-access` node.
"""

from typing import Any, ClassVar, Self

from qmpserver.driver_api import flags as request_flags
from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.limits import Limits
from qmpserver.driver_api.opening import ChildSpec, OpenContext
from qmpserver.driver_api.permissions import PERM_ALL, ChildRole, Permission, PermissionSet
from qmpserver.driver_api.point_in_time import PointInTime, PointInTimeOptions
from qmpserver.drivers.filter import FILTERED_FILE, FilterDriver, merged_limits
from qmpserver.units import NS_PER_SECOND


class CopyBeforeWriteDriver(FilterDriver):
    """A filter that keeps the content of `file` as it was when the filter was opened.

    `target` is flushed by its own users only.

    Attributes:
        point_in_time: That content.
    """

    format_name: ClassVar[str] = "copy-before-write"
    child_specs: ClassVar[tuple[ChildSpec, ...]] = (FILTERED_FILE, ChildSpec("target", ChildRole.DATA))

    def __init__(self, file: BlockChild, target: BlockChild, point_in_time: PointInTime) -> None:
        super().__init__(file)
        self._target = target
        self.point_in_time = point_in_time

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        """Open the filter.

        Raises:
            QMPError: The bitmap is not there or does not fit, or no such clusters can be had.
        """
        file, target = context.child("file"), context.child("target")
        assert file is not None
        assert target is not None
        return cls(file, target, context.keep_point_in_time(_asked_for(context.options)))

    async def close(self) -> None:
        """Wait for what is still being copied."""
        await self.point_in_time.close()

    def child_permissions(self, child: str, used: Permission, shared: Permission) -> PermissionSet | None:
        """Write to `target`; let nobody but our own users change `file`.

        QEMU: others may write to `target`, in whose backing chain `file` may be.
        """
        if child != "file":
            return PermissionSet(Permission.WRITE, PERM_ALL & ~Permission.RESIZE)
        if not self.point_in_time.is_used:
            return None
        used |= Permission.CONSISTENT_READ
        if self.point_in_time.discards_source:
            used |= Permission.WRITE
        return PermissionSet(used, shared & ~(Permission.WRITE | Permission.RESIZE))

    @property
    def limits(self) -> Limits:
        """What both children need of every request."""
        return merged_limits(self._file, self._target)

    @property
    def exact_filename(self) -> str | None:
        """The name of `file`."""
        return self._file.filename

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        """Keep what is there, then store `data` in `file`."""
        if not flags & request_flags.WRITE_UNCHANGED:
            await self.point_in_time.before_write(offset, len(data))
        await self._file.pwrite(offset, data, flags)

    async def pwrite_zeroes(self, offset: int, length: int, flags: int) -> None:
        """Keep what is there, then make the range of `file` zero."""
        if not flags & request_flags.WRITE_UNCHANGED:
            await self.point_in_time.before_write(offset, length)
        await self._file.pwrite_zeroes(offset, length, flags)

    async def pdiscard(self, offset: int, length: int) -> None:
        """Keep what is there, then discard the range of `file`."""
        await self.point_in_time.before_write(offset, length)
        await self._file.pdiscard(offset, length)


def _asked_for(options: Any) -> PointInTimeOptions:
    bitmap = options.get("bitmap")
    return PointInTimeOptions(
        bitmap=None if bitmap is None else (bitmap["node"], bitmap["name"]),
        breaks_writes=options.get("on-cbw-error", "break-guest-write") == "break-guest-write",
        timeout_ns=options.get("cbw-timeout", 0) * NS_PER_SECOND,
        min_cluster_size=options.get("min-cluster-size", 0),
    )
