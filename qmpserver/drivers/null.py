"""The `null-co` and `null-aio` protocols: nothing is stored, requests only take their time.

Options: `size`, `latency-ns`, `read-zeroes`.  The two differ in QEMU's insides only.
"""

import asyncio
from typing import Any, ClassVar, Self

from qmpserver.driver_api.driver import BlockDriver
from qmpserver.driver_api.limits import Limits
from qmpserver.driver_api.opening import OpenContext
from qmpserver.driver_api.reopening import ReopensAsItIs
from qmpserver.driver_api.status import BlockStatus
from qmpserver.errors import QMPError
from qmpserver.units import NS_PER_SECOND, SECTOR_SIZE, GiB

DEFAULT_SIZE = GiB


class NullDriver(ReopensAsItIs, BlockDriver):
    """A disk that forgets.

    Args:
        size: Its size in bytes.
        latency_ns: What each request takes.
        read_zeroes: It is promised to read as zeroes.
        is_plain: Nothing but the driver's name was needed to describe it.
    """

    format_name: ClassVar[str] = "null-co"
    is_protocol: ClassVar[bool] = True
    strong_options: ClassVar[tuple[str, ...]] = ("size", "read-zeroes")

    def __init__(self, size: int, latency_ns: int, *, read_zeroes: bool, is_plain: bool) -> None:
        self._size = size
        self._latency_ns = latency_ns
        self._read_zeroes = read_zeroes
        self._is_plain = is_plain

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        """Open a disk that forgets.

        Raises:
            QMPError: The latency or the size is negative.
        """
        options = context.options
        latency_ns = options.get("latency-ns", 0)
        size = options.get("size", DEFAULT_SIZE)
        if latency_ns < 0:
            raise QMPError("latency-ns is invalid")
        if size < 0:
            # QEMU: ends itself at this.
            raise QMPError("Parameter 'size' expects a non-negative number below 2^64")
        is_plain = not any(name in options for name in cls.strong_options)
        return cls(size, latency_ns, read_zeroes=options.get("read-zeroes", False), is_plain=is_plain)

    @property
    def size(self) -> int:
        """The size asked for."""
        return self._size

    @property
    def limits(self) -> Limits:
        """None, but that QEMU's buffers for it are aligned to sectors."""
        return Limits(min_mem_alignment=SECTOR_SIZE)

    @property
    def exact_filename(self) -> str | None:
        """The protocol's name alone, when nothing else matters."""
        return f"{self.format_name}://" if self._is_plain else None

    @property
    def reads_zero_when_new(self) -> bool:
        """It reads as zeroes always."""
        return True

    async def _take_time(self) -> None:
        if self._latency_ns:
            await asyncio.sleep(self._latency_ns / NS_PER_SECOND)

    def image_info(self) -> dict[str, Any]:
        """Return nothing: QEMU says nothing of what is not there."""
        return {}

    async def pread(self, offset: int, into: memoryview, flags: int) -> None:
        """Fill `into` with zeroes.

        QEMU: without `read-zeroes` it leaves what happens to be there, which could be anything.
        """
        await self._take_time()
        into[:] = bytes(len(into))

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        """Forget `data`."""
        await self._take_time()

    async def pwrite_zeroes(self, offset: int, length: int, flags: int) -> None:
        """Do nothing: it is zero."""
        await self._take_time()

    async def pdiscard(self, offset: int, length: int) -> None:
        """Do nothing: there is nothing to give back."""
        await self._take_time()

    async def block_status(self, offset: int, length: int) -> BlockStatus:
        """Say that all is zero when that was promised, and that nothing is there when not."""
        return BlockStatus(
            length,
            is_data=False,
            is_zero=self._read_zeroes,
            is_allocated=self._read_zeroes,
            host_offset=offset if self._read_zeroes else None,
        )

    async def flush(self) -> None:
        """Do nothing: nothing was kept."""
        await self._take_time()

    async def allocated_size(self) -> int | None:
        """Return 0: it occupies nothing."""
        return 0


class NullAioDriver(NullDriver):
    """The same by its other name."""

    format_name: ClassVar[str] = "null-aio"
