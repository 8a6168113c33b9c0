"""The `preallocate` filter: an image file grows in large steps, ahead of what is written.

Options: `prealloc-align`, what the file's size is rounded up to, and `prealloc-size`, how much is added
beyond a write that makes the file larger.  Users see the size without what was added, and when nobody
may write and resize any more, the file is cut back to that.
"""

import contextlib
from typing import Any, ClassVar, Self

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.flags import NO_FALLBACK
from qmpserver.driver_api.opening import OpenContext
from qmpserver.driver_api.permissions import Permission, PermissionSet
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.drivers.filter import FilterDriver
from qmpserver.drivers.sizes import check_size
from qmpserver.errors import QMPError
from qmpserver.lock import Lock
from qmpserver.units import SECTOR_SIZE, MiB, align_up, is_aligned

DEFAULT_ALIGN = MiB
DEFAULT_SIZE = 128 * MiB

_GROWS = Permission.WRITE | Permission.RESIZE


class PreallocateDriver(FilterDriver):
    """A filter that reserves room.

    Args:
        file: The child, a file that grows when written past its end.
        align: What its size is rounded up to, in bytes; 0 for nothing.
        ahead: What is added to it, in bytes.
    """

    format_name: ClassVar[str] = "preallocate"
    changeable_options: ClassVar[frozenset[str]] = frozenset(("prealloc-align", "prealloc-size"))
    lasting_options: ClassVar[frozenset[str]] = changeable_options

    def __init__(self, file: BlockChild, align: int, ahead: int) -> None:
        super().__init__(file)
        self._align, self._ahead = align, ahead
        self._next = (align, ahead)
        self._growing = Lock()
        self._data_end: int | None = None
        """The size that users see while they may change it."""
        self._zero_start = 0
        """From here to the end of the file all is zero."""

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        """Open the filter.

        Raises:
            QMPError: `prealloc-align` is no multiple of a sector.
        """
        file = context.child("file")
        assert file is not None
        return cls(file, *_read_options(dict(context.options)))

    async def close(self) -> None:
        """Cut the file back to what was written."""
        await self._cut_back()

    def child_permissions(self, child: str, used: Permission, shared: Permission) -> PermissionSet | None:
        """While room is reserved nobody else may write to or resize the file."""
        if used & _GROWS == _GROWS:
            shared &= ~_GROWS
        return PermissionSet(used, shared)

    @property
    def size(self) -> int:
        """The size without what was added."""
        return self._file.size if self._data_end is None else self._data_end

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        """Store `data`, making room first."""
        await self._make_room(offset, len(data), are_zeroes=False)
        await super().pwrite(offset, data, flags)

    async def pwrite_zeroes(self, offset: int, length: int, flags: int) -> None:
        """Make the range zero; new room is so already."""
        if not await self._make_room(offset, length, are_zeroes=True):
            await super().pwrite_zeroes(offset, length, flags)

    async def _make_room(self, offset: int, length: int, *, are_zeroes: bool) -> bool:
        """Let the file end behind a range that goes past what was written; say whether it is zero there."""
        end = offset + length
        if not self._is_growth(end):
            return False
        async with self._growing:
            # Another request may have come first.
            if not self._is_growth(end):
                return False
            is_zero = offset >= self._zero_start
            file_size = self._file.size
            if end > file_size:
                is_zero = await self._reserve(file_size, end) and is_zero
            self._data_end = end
            if not are_zeroes:
                self._zero_start = max(self._zero_start, end)
            return is_zero

    def _is_growth(self, end: int) -> bool:
        return self._data_end is not None and end > self._data_end

    async def _reserve(self, file_size: int, end: int) -> bool:
        """Make the file larger than `end`; say whether that could be done, which nothing depends on."""
        target = end + self._ahead
        if self._align:
            target = align_up(target, self._align)
        try:
            await self._file.pwrite_zeroes(file_size, target - file_size, NO_FALLBACK)
        except OSError:
            return False
        return True

    async def truncate(self, size: int, preallocation: Preallocation = Preallocation.OFF) -> None:
        """Set the size; growing into what is reserved costs nothing."""
        if self._data_end is None:
            await super().truncate(size, preallocation)
            return
        async with self._growing:
            if not self._data_end <= size <= self._file.size:
                if self._file.size > self._data_end:
                    await super().truncate(self._data_end)
                await super().truncate(size, preallocation)
                self._zero_start = size
            self._data_end = size

    async def _cut_back(self) -> None:
        """Give back what was reserved, and see the file's own size again."""
        data_end, self._data_end = self._data_end, None
        if data_end is not None and self._file.size > data_end:
            # QEMU: that the file stays larger is no reason to fail, either.
            with contextlib.suppress(OSError):
                await super().truncate(data_end)

    # Permissions: room is reserved while somebody may write and resize.

    async def prepare_permissions(self, permissions: PermissionSet) -> None:
        """Begin to reserve, or cut the file back while it can still be written."""
        if permissions.used & _GROWS != _GROWS:
            await self._cut_back()
        elif self._data_end is None:
            self._data_end = self._zero_start = self._file.size

    def commit_permissions(self) -> None:
        """Do nothing: the file is as it should be."""

    def abort_permissions(self) -> None:
        """Do nothing: what was cut off is reserved again when it is needed."""

    # Reopening

    async def prepare_reopen(self, *, read_only: bool, options: dict[str, Any]) -> None:
        """Look at the new options.

        Raises:
            QMPError: `prealloc-align` is no multiple of a sector.
        """
        self._next = _read_options(options)

    async def commit_reopen(self) -> None:
        """Reserve as the new options say."""
        self._align, self._ahead = self._next

    async def abort_reopen(self) -> None:
        """Reserve as before."""


def _read_options(options: dict[str, Any]) -> tuple[int, int]:
    align, ahead = options.get("prealloc-align", DEFAULT_ALIGN), options.get("prealloc-size", DEFAULT_SIZE)
    check_size("prealloc-align", align)
    check_size("prealloc-size", ahead)
    if not is_aligned(align, SECTOR_SIZE):
        raise QMPError(f"prealloc-align parameter of preallocate filter is not aligned to {SECTOR_SIZE}")
    return align, ahead
