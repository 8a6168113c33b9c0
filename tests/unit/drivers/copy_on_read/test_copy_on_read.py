import asyncio
from typing import Any

import pytest

from qmpserver.driver_api import flags
from qmpserver.driver_api.permissions import PERM_ALL, PERM_NONE, Permission, PermissionSet
from qmpserver.drivers.copy_on_read import CopyOnReadDriver
from qmpserver.errors import QMPError
from tests.contract.driver_contract import DriverContract
from tests.contract.engine import MemoryFile
from tests.unit.drivers.context import NodeContext

SIZE = 4096
COPY, PREFETCH = flags.COPY_ON_READ, flags.PREFETCH


class Layered(MemoryFile):
    """A child whose second KiB is above the node `base`, and that notes how it is read."""

    def __init__(self) -> None:
        super().__init__(b"a" * SIZE)
        self.requests: list[tuple[int, int, int]] = []

    async def pread(self, offset: int, into: memoryview, flags: int = 0) -> None:
        self.requests.append((offset, len(into), flags))
        await super().pread(offset, into)

    async def is_allocated_above(self, bottom: str | None, offset: int, length: int) -> tuple[bool, int]:
        assert bottom == "base"
        if offset >= SIZE:
            return False, 0
        is_above = 1024 <= offset < 2048
        end = 1024 if offset < 1024 else 2048 if is_above else SIZE
        return is_above, min(length, end - offset)


async def open_filter(file: MemoryFile, **options: Any) -> CopyOnReadDriver:
    context = NodeContext({"file": file}, options=options)
    context.chain, context.others = ("file", "base"), ("elsewhere",)
    return await CopyOnReadDriver.open(context)


@pytest.mark.parametrize(
    ("options", "wanted", "requests"),
    [
        ({}, 0, [(0, SIZE, COPY)]),
        ({}, PREFETCH, [(0, SIZE, COPY | PREFETCH)]),
        ({"bottom": "base"}, 0, [(0, 1024, 0), (1024, 1024, COPY), (2048, 2048, 0)]),
        ({"bottom": "base"}, PREFETCH, [(1024, 1024, COPY | PREFETCH)]),
    ],
)
def test_reads_copy_what_is_not_below_the_bottom(
    options: dict[str, str], wanted: int, requests: list[tuple[int, int, int]]
) -> None:
    file = Layered()

    async def main() -> None:
        driver = await open_filter(file, **options)
        into = bytearray(SIZE)
        await driver.pread(0, memoryview(into), wanted)
        assert wanted or into == b"a" * SIZE

    asyncio.run(main())
    assert file.requests == requests


@pytest.mark.parametrize(
    ("bottom", "text"),
    [
        ("none", "Bottom node 'none' not found"),
        ("elsewhere", "Bottom node 'elsewhere' is not in the chain of 'file'"),
    ],
)
def test_a_bottom_that_is_not_below_is_refused(bottom: str, text: str) -> None:
    with pytest.raises(QMPError) as caught:
        asyncio.run(open_filter(MemoryFile(), bottom=bottom))
    assert caught.value.description == text


def test_reading_past_the_end_ends() -> None:
    async def main() -> None:
        driver = await open_filter(Layered(), bottom="base")
        into = bytearray(b"x" * 1024)
        await driver.pread(SIZE - 512, memoryview(into), 0)
        assert into == b"a" * 512 + bytes(512)

    asyncio.run(main())


def test_everything_else_passes_through() -> None:
    file = MemoryFile(b"a" * SIZE)

    async def main() -> None:
        driver = await open_filter(file)
        assert driver.size == SIZE
        await driver.pwrite(0, memoryview(b"b" * 512), 0)
        await driver.pwrite_zeroes(512, 512, 0)
        await driver.pdiscard(1024, 512)
        await driver.flush()
        await driver.truncate(2048)
        assert (await driver.block_status(0, 512)).is_data
        assert await driver.allocated_size() == 2048

    asyncio.run(main())
    assert file.data == b"b" * 512 + bytes(512) + b"\xdd" * 512 + b"a" * 512
    assert ("flush",) in file.log


def test_it_may_store_what_reads_the_same_afterwards() -> None:
    driver = asyncio.run(open_filter(MemoryFile()))
    wanted = PermissionSet(Permission.WRITE_UNCHANGED, PERM_ALL)
    assert driver.child_permissions("file", PERM_NONE, PERM_ALL) == wanted
    assert driver.is_filter


class TestCopyOnRead(DriverContract):
    """A filter over a file that has nothing below it."""

    async def make(self, file: MemoryFile) -> None:
        await file.truncate(self.size)

    async def open(self, file: MemoryFile, *, read_only: bool = False) -> CopyOnReadDriver:
        return await open_filter(file)
