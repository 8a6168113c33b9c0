import asyncio
from typing import Any

import pytest

from qmpserver.driver_api.mapping import Mapping, MappingKind
from qmpserver.driver_api.permissions import PERM_ALL, PERM_NONE, Permission, PermissionSet
from qmpserver.drivers.raw import RawDriver
from qmpserver.errors import QMPError
from tests.contract.driver_contract import DriverContract
from tests.contract.engine import Engine, MemoryFile
from tests.unit.drivers.context import NodeContext

SIZE = 8192
_SUM = (
    "The sum of offset ({}) and size ({}) has to be smaller or equal to the  "
    "actual size of the containing file (8192)"
)
WRITE, RESIZE = Permission.WRITE, Permission.RESIZE


async def open_raw(file: MemoryFile, **options: Any) -> RawDriver:
    return await RawDriver.open(NodeContext({"file": file}, options=options))


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, SIZE),
        ({"offset": 512}, SIZE - 512),
        ({"offset": 511}, SIZE - 511),
        ({"offset": SIZE}, 0),
        ({"size": 512}, 512),
        ({"size": 0}, 0),
        ({"offset": 4096, "size": 4096}, 4096),
    ],
)
def test_a_window_has_the_size_asked_for(options: dict[str, int], size: int) -> None:
    assert asyncio.run(open_raw(MemoryFile(bytes(SIZE)), **options)).size == size


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"offset": -1}, "Value '-1' is out of range for parameter 'offset'"),
        ({"offset": 512, "size": -512}, "Value '-512' is out of range for parameter 'size'"),
        ({"offset": 8704}, "Offset (8704) cannot be greater than size of the containing file (8192)"),
        ({"size": 8193}, _SUM.format(0, 8193)),
        ({"offset": 4096, "size": 4608}, _SUM.format(4096, 4608)),
        ({"size": 511}, "Specified size is not multiple of 512"),
        ({"offset": 100, "size": 100}, "Specified size is not multiple of 512"),
    ],
)
def test_a_window_outside_the_file_is_refused_in_qemus_words(options: dict[str, int], text: str) -> None:
    with pytest.raises(QMPError) as caught:
        asyncio.run(open_raw(MemoryFile(bytes(SIZE)), **options))
    assert caught.value.description == text


def test_every_range_lies_in_the_file() -> None:
    file = MemoryFile(bytes(SIZE))

    async def main() -> None:
        driver = await open_raw(file, offset=512)
        assert await driver.map(100, 200) == Mapping(MappingKind.DATA, 200, file, 612, in_place=True)

    asyncio.run(main())


def test_requests_reach_the_file_inside_the_window_only() -> None:
    file = MemoryFile(b"a" * SIZE)

    async def main() -> None:
        driver = await open_raw(file, offset=1024, size=2048)
        engine = Engine(driver)
        await engine.write(0, b"b" * 512)
        assert await engine.read(256, 512) == b"b" * 256 + b"a" * 256
        await driver.zero_clusters(512, 512, may_unmap=True)
        await driver.discard_clusters(1024, 512)
        await driver.flush()
        assert await driver.allocated_size() == SIZE

    asyncio.run(main())
    assert file.data == b"a" * 1024 + b"b" * 512 + bytes(512) + b"\xdd" * 512 + b"a" * (SIZE - 2560)
    assert ("flush",) in file.log


def test_a_window_to_the_end_follows_the_file() -> None:
    file = MemoryFile(bytes(SIZE))

    async def main() -> None:
        driver = await open_raw(file, offset=512)
        await driver.truncate(1024)
        assert file.size == 1536
        assert driver.size == 1024
        assert driver.can_grow

    asyncio.run(main())


@pytest.mark.parametrize(
    ("options", "size", "text"),
    [
        ({"size": 512}, 1024, "Cannot resize fixed-size raw disks"),
        ({"offset": 512}, (1 << 63) - 512, "Disk size too large for the chosen offset"),
    ],
)
def test_a_size_that_cannot_be_had_is_refused(options: dict[str, int], size: int, text: str) -> None:
    async def main() -> None:
        driver = await open_raw(MemoryFile(bytes(SIZE)), **options)
        with pytest.raises(OSError, match=text):
            await driver.truncate(size)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("options", "used", "shared", "expected"),
    [
        ({}, PERM_NONE, PERM_ALL, PermissionSet(PERM_NONE, PERM_ALL)),
        ({}, WRITE, PERM_ALL, PermissionSet(WRITE, PERM_ALL)),
        ({"size": 512}, PERM_NONE, PERM_ALL, PermissionSet(PERM_NONE, PERM_ALL & ~RESIZE)),
        ({"offset": 512}, WRITE, PERM_ALL, PermissionSet(WRITE | RESIZE, PERM_ALL & ~RESIZE)),
    ],
)
def test_only_a_window_keeps_others_from_resizing(
    options: dict[str, int], used: Permission, shared: Permission, expected: PermissionSet
) -> None:
    driver = asyncio.run(open_raw(MemoryFile(bytes(SIZE)), **options))
    assert driver.child_permissions("file", used, shared) == expected


def test_anything_may_be_raw_but_hardly() -> None:
    assert RawDriver.probe(b"", "x") == 1


class TestRaw(DriverContract):
    """A whole file as an image."""

    async def make(self, file: MemoryFile) -> None:
        await file.truncate(self.size)

    async def open(self, file: MemoryFile, *, read_only: bool = False) -> RawDriver:
        return await open_raw(file)


class TestRawWindow(TestRaw):
    """All but the beginning of a file as an image."""

    async def make(self, file: MemoryFile) -> None:
        await file.pwrite(0, memoryview(b"z" * 512))
        await file.truncate(self.size + 512)

    async def open(self, file: MemoryFile, *, read_only: bool = False) -> RawDriver:
        return await open_raw(file, offset=512)
