"""The compress filter asks for whole clusters and marks what is written."""

import asyncio

import pytest

from qmpserver.driver_api import flags
from qmpserver.drivers.compress import CompressDriver
from qmpserver.errors import QMPError
from tests.contract.engine import MemoryFile
from tests.contract.filter_contract import FilterContract, LimitedFile
from tests.unit.drivers.context import NodeContext


class Image(MemoryFile):
    """A child that takes compressed writes."""

    format_name = "qcow2"
    supports_compressed_writes = True
    cluster_size = 65536

    def __init__(self, file: MemoryFile) -> None:
        super().__init__()
        self.file = file
        self.limits = file.limits
        self.seen: list[int] = []

    def __getattribute__(self, name: str) -> object:
        if name in (
            "data",
            "log",
            "fail_next",
            "yields",
            "pread",
            "flush",
            "truncate",
            "block_status",
            "pdiscard",
        ):
            return getattr(object.__getattribute__(self, "file"), name)
        return object.__getattribute__(self, name)

    async def pwrite(self, offset: int, data: memoryview, flags: int = 0) -> None:
        self.seen.append(flags)
        await self.file.pwrite(offset, data, flags)


async def open_filter(file: MemoryFile) -> CompressDriver:
    return await CompressDriver.open(NodeContext({"file": file}))


class TestCompress(FilterContract):
    """A filter of an image."""

    async def open(self, file: MemoryFile, *, read_only: bool = False) -> CompressDriver:
        return await open_filter(Image(file))


def test_writes_are_marked_and_zeroes_are_not() -> None:
    async def main() -> list[int]:
        image = Image(LimitedFile(bytes(1 << 17)))
        driver = await open_filter(image)
        assert driver.limits.request_alignment == 65536
        await driver.pwrite(0, memoryview(b"x" * 65536), flags.FUA)
        await driver.pwrite_zeroes(65536, 65536, 0)
        return image.seen

    assert asyncio.run(main()) == [flags.FUA | flags.WRITE_COMPRESSED, 0]


def test_an_image_without_compression_is_refused() -> None:
    with pytest.raises(QMPError) as caught:
        asyncio.run(open_filter(MemoryFile()))
    assert caught.value.description == "Compression is not supported for underlying format: file"
