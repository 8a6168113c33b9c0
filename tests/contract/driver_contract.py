"""What every driver owes the engine.  A driver's test inherits the suite and says how to make one."""

import asyncio
import contextlib
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from qmpserver.driver_api.driver import BlockDriver, MappingDriver
from qmpserver.driver_api.mapping import MappingKind
from tests.contract.engine import Engine, MemoryFile

T = TypeVar("T")


class DriverContract(ABC):
    """Tests over any driver with room for :attr:`size` bytes."""

    size = 1 << 20

    @abstractmethod
    async def make(self, file: MemoryFile) -> None:
        """Make an empty image of :attr:`size` bytes in `file`."""

    @abstractmethod
    async def open(self, file: MemoryFile, *, read_only: bool = False) -> BlockDriver:
        """Open the image in `file`."""

    def run(self, body: Callable[[MemoryFile, Engine], Awaitable[T]], *, yields: bool = False) -> T:
        """Run `body` on a new image."""

        async def whole() -> T:
            file = MemoryFile()
            await self.make(file)
            file.yields = yields
            return await body(file, Engine(await self.open(file)))

        return asyncio.run(whole())

    async def reopen(self, file: MemoryFile, engine: Engine) -> Engine:
        await engine.driver.close()
        return Engine(await self.open(file))

    def test_a_new_image_has_its_size_and_reads_as_zeroes(self) -> None:
        async def body(file: MemoryFile, engine: Engine) -> None:
            assert engine.driver.size == self.size
            assert await engine.read(0, self.size) == bytes(self.size)

        self.run(body)

    @pytest.mark.parametrize(
        ("offset", "length"), [(0, 512), (512, 1024), (65024, 1536), (100 * 512, 300 * 512)]
    )
    def test_what_was_written_is_read_again_and_nothing_else_changes(self, offset: int, length: int) -> None:
        async def body(file: MemoryFile, engine: Engine) -> None:
            data = random.Random(offset).randbytes(length)
            await engine.write(offset, data)
            expected = data.join((bytes(offset), bytes(self.size - offset - length)))
            assert await engine.read(0, self.size) == expected
            engine = await self.reopen(file, engine)
            assert await engine.read(0, self.size) == expected

        self.run(body)

    def test_the_last_sector_can_be_written(self) -> None:
        async def body(file: MemoryFile, engine: Engine) -> None:
            await engine.write(self.size - 512, b"x" * 512)
            assert await engine.read(self.size - 1024, 1024) == bytes(512) + b"x" * 512

        self.run(body)

    def test_a_flush_when_nothing_is_dirty_is_one_flush_below(self) -> None:
        async def body(file: MemoryFile, engine: Engine) -> None:
            await engine.write(0, b"x" * 4096)
            for _ in range(3):
                await engine.driver.flush()
            file.log.clear()
            await engine.driver.flush()
            assert [entry[0] for entry in file.log] == ["flush", "flushed"]

        self.run(body)

    def test_a_read_only_image_is_not_written(self) -> None:
        async def body(file: MemoryFile, engine: Engine) -> None:
            await engine.write(0, b"x" * 4096)
            await engine.driver.close()
            file.log.clear()
            reader = Engine(await self.open(file, read_only=True))
            assert await reader.read(0, 4096) == b"x" * 4096
            await reader.driver.flush()
            await reader.driver.close()
            assert [entry for entry in file.log if entry[0] == "write"] == []

        self.run(body)

    @pytest.mark.parametrize("yields", [False, True])
    def test_concurrent_writes_all_arrive(self, yields: bool) -> None:
        async def body(file: MemoryFile, engine: Engine) -> None:
            step = max(self.size // 300 // 512, 1) * 512
            parts = {at: bytes([at // step % 255 + 1]) * step for at in range(0, self.size - step, step)}
            await asyncio.gather(
                *(engine.write(at, data) for at, data in parts.items()),
                *(engine.driver.flush() for _ in range(3)),
            )
            expected = b"".join(parts.values()).ljust(self.size, b"\0")
            assert await engine.read(0, self.size) == expected
            engine = await self.reopen(file, engine)
            assert await engine.read(0, self.size) == expected

        self.run(body, yields=yields)

    def test_growing_shows_zeroes_and_shrinking_forgets(self) -> None:
        async def body(file: MemoryFile, engine: Engine) -> None:
            await engine.write(0, b"x" * self.size)
            await engine.driver.truncate(self.size // 2 + 512)
            await engine.driver.truncate(self.size * 2)
            kept = self.size // 2 + 512
            expected = b"x" * kept + bytes(self.size * 2 - kept)
            assert await engine.read(0, self.size * 2) == expected
            engine = await self.reopen(file, engine)
            assert engine.driver.size == self.size * 2
            assert await engine.read(0, self.size * 2) == expected

        self.run(body)


class MappingDriverContract(DriverContract):
    """Further tests over drivers that say where and let the engine move the bytes."""

    def test_zeroed_and_discarded_clusters_read_as_zeroes(self) -> None:
        async def body(file: MemoryFile, engine: Engine) -> None:
            unit = engine.unit
            await engine.write(0, b"x" * self.size)
            await engine.zero(0, unit)
            await engine.zero(2 * unit, unit, may_unmap=True)
            dropped = await engine.discard(4 * unit, unit)
            expected = bytearray(b"x" * self.size)
            for cluster in (0, 2, 4) if dropped else (0, 2):
                expected[cluster * unit : (cluster + 1) * unit] = bytes(unit)
            assert await engine.read(0, self.size) == expected
            engine = await self.reopen(file, engine)
            assert await engine.read(0, self.size) == expected

        self.run(body)

    def test_released_room_is_used_again(self) -> None:
        async def body(file: MemoryFile, engine: Engine) -> None:
            driver = engine.driver
            assert isinstance(driver, MappingDriver)
            first = await driver.allocate(0, engine.unit)
            await driver.release(first)
            second = await driver.allocate(0, engine.unit)
            await driver.release(second)
            assert second.host_offset == first.host_offset
            assert (await driver.map(0, engine.unit)).kind is MappingKind.BACKING

        self.run(body)

    def test_unallocated_space_is_one_run(self) -> None:
        async def body(file: MemoryFile, engine: Engine) -> None:
            assert isinstance(engine.driver, MappingDriver)
            mapping = await engine.driver.map(0, self.size)
            assert (mapping.kind, mapping.length) == (MappingKind.BACKING, self.size)

        self.run(body)

    def test_a_sequential_write_is_one_run(self) -> None:
        async def body(file: MemoryFile, engine: Engine) -> None:
            assert isinstance(engine.driver, MappingDriver)
            await engine.write(0, b"x" * 4 * engine.unit)
            mapping = await engine.driver.map(512, 2 * engine.unit)
            assert (mapping.kind, mapping.length, mapping.in_place) == (
                MappingKind.DATA,
                2 * engine.unit,
                True,
            )

        self.run(body)

    def test_a_failed_write_or_flush_loses_nothing_and_can_be_tried_again(self) -> None:
        async def body(file: MemoryFile, engine: Engine) -> None:
            rng = random.Random(5)
            expected = bytearray(self.size)
            for _ in range(60):
                offset = rng.randrange(self.size // 512) * 512
                data = bytes([rng.randrange(1, 256)]) * min(4096, self.size - offset)
                await engine.write(offset, data)
                expected[offset : offset + len(data)] = data
                file.fail_next = [None] * rng.randrange(4) + [OSError(5, "Input/output error")]
                with contextlib.suppress(OSError):
                    await engine.driver.flush()
                file.fail_next = []
            assert await engine.read(0, self.size) == expected
            engine = await self.reopen(file, engine)
            assert await engine.read(0, self.size) == expected

        self.run(body)

    def test_a_cancelled_request_leaves_a_sound_image(self) -> None:
        async def body(file: MemoryFile, engine: Engine) -> None:
            rng = random.Random(6)
            for _ in range(40):
                offset = rng.randrange(self.size // 512) * 512
                task = asyncio.create_task(engine.write(offset, b"x" * min(8192, self.size - offset)))
                flush = asyncio.create_task(engine.driver.flush())
                for _ in range(rng.randrange(12)):
                    await asyncio.sleep(0)
                task.cancel()
                flush.cancel()
                await asyncio.gather(task, flush, return_exceptions=True)
            data = await engine.read(0, self.size)
            engine = await self.reopen(file, engine)
            assert await engine.read(0, self.size) == data

        self.run(body, yields=True)
