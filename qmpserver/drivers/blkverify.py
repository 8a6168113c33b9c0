"""The `blkverify` filter: an image is compared with a raw copy of what it should hold.

Children: `raw`, the copy whose data counts, and `test`, the image on trial.  Writes go to both; what is
read must be the same in both, or the request fails and the log says where they differ.
"""

import asyncio
import errno
import os
from typing import ClassVar, Self

from qmpserver.driver_api import flags as request_flags
from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.driver import not_supported
from qmpserver.driver_api.limits import Limits
from qmpserver.driver_api.opening import ChildSpec, OpenContext
from qmpserver.driver_api.permissions import ChildRole
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.drivers.filter import FilterDriver, merged_limits
from qmpserver.log import get_logger

_log = get_logger("block")


class BlkverifyDriver(FilterDriver):
    """A filter that compares.

    Args:
        node_name: The filter's own name, for the log.
        raw: The copy.
        test: The image on trial.
    """

    format_name: ClassVar[str] = "blkverify"
    filtered_child: ClassVar[str] = "raw"
    handles_fua: ClassVar[bool] = False
    child_specs: ClassVar[tuple[ChildSpec, ...]] = (
        ChildSpec("raw", ChildRole.FILTERED | ChildRole.PRIMARY),
        ChildSpec("test", ChildRole.DATA),
    )

    def __init__(self, node_name: str, raw: BlockChild, test: BlockChild) -> None:
        super().__init__(raw)
        self._node_name = node_name
        self._test = test

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        """Open the filter."""
        raw, test = context.child("raw"), context.child("test")
        assert raw is not None
        assert test is not None
        return cls(context.node_name, raw, test)

    @property
    def size(self) -> int:
        """The size of the image on trial."""
        return self._test.size

    @property
    def limits(self) -> Limits:
        """What both children need."""
        return merged_limits(self._file, self._test)

    @property
    def supports_compressed_writes(self) -> bool:
        """A raw copy has no compressed clusters."""
        return False

    @property
    def exact_filename(self) -> str | None:
        """Both plain names, if there are such."""
        names = self._file.filename, self._test.filename
        return None if any(name.startswith("json:") for name in names) else ":".join(("blkverify", *names))

    async def pread(self, offset: int, into: memoryview, flags: int) -> None:
        """Fill `into` from the copy, and compare.

        Raises:
            OSError: One of them cannot be read, or EIO when they differ.
        """
        # A prefetch reads nothing, so that there would be nothing to compare.
        flags &= ~(request_flags.PREFETCH | request_flags.COPY_ON_READ)
        tested = memoryview(bytearray(len(into)))
        await self._both(
            offset,
            len(into),
            "read",
            self._file.pread(offset, into, flags),
            self._test.pread(offset, tested, flags),
        )
        if into != tested:
            self._fail("contents mismatch", offset + _first_difference(into, tested), len(into), "read")

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        """Store `data` in both."""
        await self._both(
            offset,
            len(data),
            "write",
            self._file.pwrite(offset, data, flags),
            self._test.pwrite(offset, data, flags),
        )

    async def pwrite_zeroes(self, offset: int, length: int, flags: int) -> None:
        """Have zeroes written out, so that both get the very same requests."""
        raise not_supported()

    async def pdiscard(self, offset: int, length: int) -> None:
        """Drop the hint: what it leaves behind need not be the same in both."""
        raise not_supported()

    async def _both(self, offset: int, length: int, request: str, *work: object) -> None:
        """Carry out a request on both, and have both end alike."""
        outcomes = await asyncio.gather(*work, return_exceptions=True)  # type: ignore[call-overload]
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, OSError):
                raise outcome
        codes = [outcome.errno if outcome is not None else 0 for outcome in outcomes]
        if codes[0] != codes[1]:
            self._fail(f"return value mismatch: raw {codes[0]}, test {codes[1]}", offset, length, request)
        if outcomes[0] is not None:
            raise outcomes[0]

    def _fail(self, what: str, offset: int, length: int, request: str) -> None:
        # QEMU: says so on its standard error and ends.
        _log.error(what, node_name=self._node_name, request=request, offset=offset, length=length)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async def flush(self) -> None:
        """Flush both."""
        await asyncio.gather(self._file.flush(), self._test.flush())

    async def truncate(self, size: int, preallocation: Preallocation = Preallocation.OFF) -> None:
        """Set the size of both.

        QEMU: sets that of the copy only, and goes on with the old size.
        """
        await self._test.truncate(size, preallocation)
        await self._file.truncate(size, preallocation)

    async def allocated_size(self) -> int | None:
        """Say nothing: there are two of them.

        Raises:
            OSError: ENOTSUP, always.
        """
        raise not_supported()


def _first_difference(one: memoryview, other: memoryview) -> int:
    """Return the first index at which two ranges of the same length differ."""
    start, end = 0, len(one)
    while end - start > 1:
        middle = (start + end) // 2
        start, end = (start, middle) if one[start:middle] != other[start:middle] else (middle, end)
    return start
