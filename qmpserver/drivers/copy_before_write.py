"""The `copy-before-write` filter: what is about to change in `file` is first copied to `target`.

Options: `bitmap` (keep only what it has marked), `on-cbw-error` (fail the write, or give up the point in
time), `cbw-timeout` (seconds), `min-cluster-size`.  What was kept is read through a `snapshot-access` node.
"""

from typing import Any, ClassVar, Self

from qmpserver.driver_api import flags as request_flags
from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.driver import BlockDriver
from qmpserver.driver_api.limits import Limits
from qmpserver.driver_api.opening import ChildSpec, OpenContext
from qmpserver.driver_api.permissions import PERM_ALL, ChildRole, Permission, PermissionSet
from qmpserver.driver_api.point_in_time import PointInTime, PointInTimeOptions
from qmpserver.driver_api.status import BlockStatus
from qmpserver.units import NS_PER_SECOND


class CopyBeforeWriteDriver(BlockDriver):
    """A filter that keeps the content of `file` as it was when the filter was opened.

    Attributes:
        point_in_time: That content.
    """

    format_name: ClassVar[str] = "copy-before-write"
    is_filter: ClassVar[bool] = True
    child_specs: ClassVar[tuple[ChildSpec, ...]] = (
        ChildSpec("file", ChildRole.FILTERED | ChildRole.PRIMARY),
        ChildSpec("target", ChildRole.DATA),
    )

    def __init__(self, file: BlockChild, target: BlockChild, point_in_time: PointInTime) -> None:
        self._file = file
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
    def size(self) -> int:
        """The size of `file`."""
        return self._file.size

    @property
    def limits(self) -> Limits:
        """Discards go down as they are; everything else is taken as it comes."""
        file, target = self._file.limits, self._target.limits
        return Limits(
            pdiscard_alignment=max(file.pdiscard_alignment, target.pdiscard_alignment),
            min_mem_alignment=max(file.min_mem_alignment, target.min_mem_alignment),
        )

    @property
    def exact_filename(self) -> str | None:
        """The name of `file`."""
        return self._file.filename

    def image_info(self) -> dict[str, Any]:
        """Show nothing beyond what is shown of `file`."""
        return {}

    async def pread(self, offset: int, into: memoryview, flags: int) -> None:
        """Fill `into` from `file`."""
        await self._file.pread(offset, into, flags)

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

    async def block_status(self, offset: int, length: int) -> BlockStatus:
        """Say what `file` says."""
        return await self._file.block_status(offset, length)

    async def flush(self) -> None:
        """Flush `file`; `target` is flushed by its own users."""
        await self._file.flush()

    async def allocated_size(self) -> int | None:
        """Return what `file` occupies."""
        return await self._file.allocated_size()


def _asked_for(options: Any) -> PointInTimeOptions:
    bitmap = options.get("bitmap")
    return PointInTimeOptions(
        bitmap=None if bitmap is None else (bitmap["node"], bitmap["name"]),
        breaks_writes=options.get("on-cbw-error", "break-guest-write") == "break-guest-write",
        timeout_ns=options.get("cbw-timeout", 0) * NS_PER_SECOND,
        min_cluster_size=options.get("min-cluster-size", 0),
    )
