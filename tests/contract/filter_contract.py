"""What every filter owes the engine.  A filter's test inherits the suite and says how to open one."""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from qmpserver.driver_api.driver import BlockDriver
from qmpserver.driver_api.flags import MAY_UNMAP
from qmpserver.driver_api.limits import Limits
from qmpserver.driver_api.status import BlockStatus
from qmpserver.drivers.filter import FilterDriver
from tests.contract.driver_contract import DriverContract
from tests.contract.engine import Engine, MemoryFile


class LimitedFile(MemoryFile):
    """A child with limits of its own, whose second half is known to be zero."""

    limits = Limits(
        pdiscard_alignment=4096, pwrite_zeroes_alignment=8192, max_transfer=1 << 16, min_mem_alignment=512
    )

    async def block_status(self, offset: int, length: int) -> BlockStatus:
        half = len(self.data) // 2
        if offset < half:
            return BlockStatus(min(length, half - offset), True, False, True, offset)
        return BlockStatus(length, False, True, True)


class FilterContract(DriverContract):
    """Tests over any filter of a file."""

    passes_discards = True
    passes_zeroes = True

    async def make(self, file: MemoryFile) -> None:
        await file.truncate(self.size)

    def test_it_says_of_a_range_what_the_child_says(self) -> None:
        async def whole() -> None:
            file = LimitedFile(bytes(self.size))
            driver = await self.open(file)
            for offset, length in ((0, self.size), (self.size // 2, 4096), (4096, 4096)):
                assert await driver.block_status(offset, length) == await file.block_status(offset, length)

        asyncio.run(whole())

    def test_what_the_child_needs_of_every_request_it_needs_as_well(self) -> None:
        async def whole() -> BlockDriver:
            return await self.open(LimitedFile(bytes(self.size)))

        limits = asyncio.run(whole()).limits
        assert (limits.pdiscard_alignment, limits.max_transfer, limits.min_mem_alignment) == (
            4096,
            1 << 16,
            512,
        )
        assert limits.pwrite_zeroes_alignment == 0

    def test_zeroes_reach_the_child_or_are_refused_so_that_they_are_written(self) -> None:
        async def body(file: MemoryFile, engine: Engine) -> None:
            await engine.write(0, b"x" * self.size)
            if self.passes_zeroes:
                await engine.driver.pwrite_zeroes(4096, 8192, MAY_UNMAP)
                expected = b"x" * 4096 + bytes(8192) + b"x" * (self.size - 12288)
                assert await engine.read(0, self.size) == expected
                return
            with pytest.raises(OSError, match=os.strerror(errno.ENOTSUP)):
                await engine.driver.pwrite_zeroes(4096, 8192, 0)
            assert await engine.read(0, self.size) == b"x" * self.size

        self.run(body)

    def test_discards_reach_the_child_or_are_refused(self) -> None:
        async def body(file: MemoryFile, engine: Engine) -> None:
            await engine.write(0, b"x" * self.size)
            if self.passes_discards:
                await engine.driver.pdiscard(4096, 8192)
                assert (await engine.read(0, 16384))[4096:12288] == b"\xdd" * 8192
                return
            with pytest.raises(OSError, match=os.strerror(errno.ENOTSUP)):
                await engine.driver.pdiscard(4096, 8192)

        self.run(body)

    def test_an_error_below_is_the_callers_error_and_the_next_request_is_as_good_as_any(self) -> None:
        async def body(file: MemoryFile, engine: Engine) -> None:
            requests: tuple[Callable[[], Awaitable[None]], ...]
            requests = (partial(engine.write, 0, b"x" * 4096), engine.driver.flush)
            for request in requests:
                file.fail_next = [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))]
                with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
                    await request()
                await request()
            assert await engine.read(0, 4096) == b"x" * 4096

        self.run(body)

    def test_it_is_a_filter_and_shows_nothing_of_its_own(self) -> None:
        async def body(file: MemoryFile, engine: Engine) -> None:
            driver = engine.driver
            assert isinstance(driver, FilterDriver)
            assert driver.is_filter
            assert driver.image_info() == {}
            assert driver.filtered_child in {spec.name for spec in driver.child_specs}
            assert await driver.allocated_size() == self.size

        self.run(body)
