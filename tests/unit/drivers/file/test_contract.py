import os
from pathlib import Path

import pytest

from qmpserver.drivers.file.driver import FileDriver
from tests.contract.driver_contract import DriverContract
from tests.contract.engine import Engine, MemoryFile
from tests.unit.drivers.file.context import FileContext


class TestFile(DriverContract):
    """The image is a file of the host; the contract's file in memory stays empty."""

    direct = False

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.path = tmp_path / "image"

    async def make(self, file: MemoryFile) -> None:
        self.path.touch()
        os.truncate(self.path, self.size)

    async def open(self, file: MemoryFile, *, read_only: bool = False) -> FileDriver:
        return await FileDriver.open(FileContext(str(self.path), read_only=read_only, direct=self.direct))

    def test_a_flush_when_nothing_is_dirty_is_one_flush_below(self) -> None:
        """Below is the host: flushing again succeeds."""

        async def body(file: MemoryFile, engine: Engine) -> None:
            await engine.write(0, b"x" * 4096)
            for _ in range(3):
                await engine.driver.flush()

        self.run(body)


class TestDirectFile(TestFile):
    """The same, past the page cache."""

    direct = True
