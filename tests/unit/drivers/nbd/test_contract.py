"""What every driver owes the engine, over a server that is small."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from qmpserver.drivers.nbd.driver import NbdDriver
from qmpserver.errors import QMPError
from tests.contract.driver_contract import DriverContract
from tests.contract.engine import Context, Engine, MemoryFile
from tests.unit.drivers.nbd.tiny_server import TinyServer

T = TypeVar("T")


class TestNbd(DriverContract):
    """The image is what the server serves."""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.path = tmp_path / "nbd.sock"

    async def make(self, file: MemoryFile) -> None:
        file.data = bytearray(self.size)

    async def open(self, file: MemoryFile, *, read_only: bool = False) -> NbdDriver:
        options = {"server": {"type": "unix", "path": str(self.path)}}
        return await NbdDriver.open(Context({}, read_only=read_only, options=options))

    def run(self, body: Callable[[MemoryFile, Engine], Awaitable[T]], *, yields: bool = False) -> T:
        async def whole() -> T:
            file = MemoryFile()
            await self.make(file)
            file.yields = yields
            server = TinyServer(self.path, file)
            server.start()
            engine = Engine(await self.open(file))
            try:
                return await body(file, engine)
            finally:
                await engine.driver.close()
                await server.stop()

        return asyncio.run(whole())

    def test_growing_shows_zeroes_and_shrinking_forgets(self) -> None:
        """The protocol has no way to ask for another size."""

        async def body(file: MemoryFile, engine: Engine) -> None:
            await engine.driver.truncate(self.size)
            with pytest.raises(QMPError, match="Cannot grow NBD nodes"):
                await engine.driver.truncate(self.size * 2)
            with pytest.raises(OSError, match="not supported"):
                await engine.driver.truncate(self.size // 2)
            assert engine.driver.size == len(file.data) == self.size

        self.run(body)

    def test_a_flush_when_nothing_is_dirty_is_one_flush_below(self) -> None:
        """The node above counts what is dirty; what is asked for here is sent."""

        async def body(file: MemoryFile, engine: Engine) -> None:
            await engine.write(0, b"x" * 4096)
            file.log.clear()
            await engine.driver.flush()
            assert [entry[0] for entry in file.log] == ["flush", "flushed"]

        self.run(body)

    def test_holes_are_told_as_the_server_tells_them(self) -> None:
        async def body(file: MemoryFile, engine: Engine) -> None:
            status: Any = await engine.driver.block_status(4096, 8192)
            assert (status.length, status.is_data, status.is_zero) == (4096, True, False)

        self.run(body)
