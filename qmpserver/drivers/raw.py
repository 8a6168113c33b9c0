"""The `raw` format: the bytes of `file` as they are, or a window of them.

Options: `offset` and `size`, in bytes, of the window.  There is no metadata.
"""

import errno
from collections.abc import Callable
from typing import Any, ClassVar, Final, Self

from qmpserver.driver_api import flags as request_flags
from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.debug_events import DebugHook, debug_event
from qmpserver.driver_api.device_requests import SupportsIoctl
from qmpserver.driver_api.driver import MappingDriver, not_supported
from qmpserver.driver_api.mapping import Allocation, Mapping, MappingKind
from qmpserver.driver_api.measuring import Contents, Measurement
from qmpserver.driver_api.opening import ChildSpec, OpenContext
from qmpserver.driver_api.permissions import ChildRole, Permission, PermissionSet
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.driver_api.secrets import SecretSource, no_secrets
from qmpserver.drivers.sizes import check_size
from qmpserver.errors import QMPError
from qmpserver.units import SECTOR_SIZE, is_aligned

MAX_SIZE = (1 << 63) - 1

_DATA: Final = MappingKind.DATA
"""At hand: every request asks for it."""


class RawDriver(MappingDriver):
    """A raw image.

    Args:
        file: Where the bytes are.
        offset: The byte of `file` that is the first of the image.
        size: The image's size, or None to follow that of `file`.
    """

    format_name: ClassVar[str] = "raw"
    works_in_place: ClassVar[bool] = True
    is_transparent: ClassVar[bool] = True
    child_specs: ClassVar[tuple[ChildSpec, ...]] = (ChildSpec("file", ChildRole.DATA | ChildRole.PRIMARY),)
    strong_options: ClassVar[tuple[str, ...]] = ("offset", "size")
    changeable_options: ClassVar[frozenset[str]] = frozenset(("offset", "size"))
    status_follows_child: ClassVar[bool] = True

    def __init__(self, file: BlockChild, offset: int, size: int | None) -> None:
        self._file = file
        self._offset = offset
        self._fixed_size = size
        self._next_window = offset, size

    @classmethod
    async def measure(
        cls, options: dict[str, Any], contents: Contents | None, secrets: SecretSource = no_secrets
    ) -> Measurement:
        """Say how large an image's file would be, holes included; see :class:`SupportsMeasure`."""
        del secrets
        size = options["size"] if contents is None else contents.size
        return Measurement(size, size)

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        """Open the image.

        Raises:
            QMPError: The window is not inside `file`; the texts are QEMU's.
        """
        file = context.child("file")
        assert file is not None
        offset = context.options.get("offset", 0)
        size = context.options.get("size")
        _check_window(file.size, offset, size)
        return cls(file, offset, size)

    @classmethod
    def probe(cls, head: bytes, filename: str) -> int:
        """Anything may be a raw image, but rather what another format recognises."""
        del head, filename
        return 1

    def child_permissions(self, child: str, used: Permission, shared: Permission) -> PermissionSet | None:
        """A whole file is used as our users use us; around a window, its size must not change.

        QEMU: with neither option the driver counts as a filter of its `file`.
        """
        if not self._is_window:
            return PermissionSet(used, shared)
        if used & Permission.WRITE:
            used |= Permission.RESIZE
        return PermissionSet(used, shared & ~Permission.RESIZE)

    @property
    def _is_window(self) -> bool:
        return self._fixed_size is not None or self._offset > 0

    @property
    def size(self) -> int:
        """The size of the window."""
        if self._fixed_size is not None:
            return self._fixed_size
        return max(self._file.size - self._offset, 0)

    @property
    def can_grow(self) -> bool:
        """It grows if `file` does, which refuses by itself if it cannot."""
        return self._fixed_size is None

    @property
    def cluster_size(self) -> int:
        """Single bytes: nothing is ever allocated."""
        return 1

    @property
    def debug_hook(self) -> DebugHook | None:
        """Whoever listens at `file`."""
        return self._file.debug_hook

    def image_info(self) -> dict[str, Any]:
        """Add nothing to what `file` says of itself."""
        return {}

    async def map(self, offset: int, length: int) -> Mapping:
        """Say where the range lies: always in `file`, in one run."""
        return self.map_at_once(offset, length)

    def map_at_once(self, offset: int, length: int) -> Mapping:
        """Say where the range lies."""
        return Mapping(_DATA, length, self._file, offset + self._offset, True)

    def promise_place(self) -> Callable[[], object]:
        """Promise what is always so."""
        return _nothing

    async def allocate(self, offset: int, length: int) -> Allocation:
        """Refuse: there is always room already.  The engine never asks."""
        raise not_supported()

    async def link(self, allocation: Allocation) -> None:
        """Do nothing: nothing is ever allocated."""

    async def release(self, allocation: Allocation) -> None:
        """Do nothing: nothing is ever allocated."""

    async def zero_clusters(self, offset: int, length: int, *, may_unmap: bool) -> None:
        """Make the range of `file` zero."""
        flags = request_flags.MAY_UNMAP if may_unmap else 0
        await self._file.pwrite_zeroes(offset + self._offset, length, flags)

    async def discard_clusters(self, offset: int, length: int) -> None:
        """Discard the range of `file`."""
        await self._file.pdiscard(offset + self._offset, length)

    async def flush(self) -> None:
        """Flush `file`."""
        if self._file.debug_hook is not None:
            await debug_event(self._file, "flush_to_os")
            await debug_event(self._file, "flush_to_disk")
        await self._file.flush()

    async def truncate(self, size: int, preallocation: Preallocation = Preallocation.OFF) -> None:
        """Set the size of `file` so that the window has `size` bytes.

        Raises:
            OSError: ENOTSUP for a window of fixed size, EINVAL past what a file can hold; `strerror`
                is QEMU's text.
        """
        if self._fixed_size is not None:
            raise OSError(errno.ENOTSUP, "Cannot resize fixed-size raw disks")
        if size > MAX_SIZE - self._offset:
            raise OSError(errno.EINVAL, "Disk size too large for the chosen offset")
        await self._file.truncate(size + self._offset, preallocation)

    async def ioctl(self, request: int, argument: bytearray | int) -> int:
        """Hand a device's own request on to `file`, unless a window of it is all we show; see :class:`SupportsIoctl`."""
        if self._is_window or not isinstance(self._file, SupportsIoctl):
            raise not_supported()
        return await self._file.ioctl(request, argument)

    async def allocated_size(self) -> int | None:
        """Return what `file` occupies."""
        return await self._file.allocated_size()

    async def prepare_reopen(self, *, read_only: bool, options: dict[str, Any]) -> None:
        """Check another window; see :class:`SupportsReopen`."""
        window = options.get("offset", 0), options.get("size")
        _check_window(self._file.size, *window)
        self._next_window = window

    async def commit_reopen(self) -> None:
        """Show the other window."""
        self._offset, self._fixed_size = self._next_window

    async def abort_reopen(self) -> None:
        """Stay with the present window."""
        self._next_window = self._offset, self._fixed_size


def _check_window(file_size: int, offset: int, size: int | None) -> None:
    check_size("offset", offset)
    check_size("size", size or 0)
    if offset > file_size:
        raise QMPError(f"Offset ({offset}) cannot be greater than size of the containing file ({file_size})")
    if size is None:
        return
    if size > file_size - offset:
        raise QMPError(
            f"The sum of offset ({offset}) and size ({size}) has to be smaller or equal to the  "
            f"actual size of the containing file ({file_size})"
        )
    if not is_aligned(size, SECTOR_SIZE):
        raise QMPError("Specified size is not multiple of 512")


def _nothing() -> None:
    """Do nothing at the end of a promise that is kept anyway."""
