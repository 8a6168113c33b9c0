"""The preallocate filter makes the file larger than its users see, and gives the rest back."""

import asyncio
import errno
import os
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from qmpserver.driver_api.permissions import PERM_ALL, Permission, PermissionSet
from qmpserver.drivers.preallocate import PreallocateDriver
from qmpserver.errors import QMPError
from qmpserver.units import MiB
from tests.contract.engine import Engine, MemoryFile
from tests.contract.filter_contract import FilterContract
from tests.unit.drivers.context import NodeContext

ACTIVE = PermissionSet(Permission.WRITE | Permission.RESIZE, PERM_ALL)
IDLE = PermissionSet(Permission.CONSISTENT_READ, PERM_ALL)


async def open_filter(file: MemoryFile, **options: Any) -> PreallocateDriver:
    named = {name.replace("_", "-"): value for name, value in options.items()}
    return await PreallocateDriver.open(NodeContext({"file": file}, options=named))


def play(file: MemoryFile, body: Callable[[PreallocateDriver], Awaitable[None]], **options: Any) -> None:
    async def whole() -> None:
        driver = await open_filter(file, **options)
        await driver.prepare_permissions(ACTIVE)
        driver.commit_permissions()
        await body(driver)

    asyncio.run(whole())


class TestPreallocate(FilterContract):
    """A filter whose user may write and resize."""

    async def open(self, file: MemoryFile, *, read_only: bool = False) -> PreallocateDriver:
        driver = await open_filter(file, prealloc_size=4096, prealloc_align=8192)
        await driver.prepare_permissions(IDLE if read_only else ACTIVE)
        return driver


@pytest.mark.parametrize(
    ("options", "file_size"),
    [
        ({"prealloc_size": 0}, MiB),
        ({"prealloc_size": 0, "prealloc_align": 512}, 1536),
        ({"prealloc_size": 1000, "prealloc_align": 0}, 2512),
        ({"prealloc_size": 4096, "prealloc_align": 65536}, 65536),
    ],
)
def test_a_write_past_the_end_makes_room_ahead(options: dict[str, int], file_size: int) -> None:
    file = MemoryFile(b"a" * 512)

    async def body(driver: PreallocateDriver) -> None:
        await driver.pwrite(1000, memoryview(b"b" * 512), 0)
        assert driver.size == 1512
        assert file.size == file_size
        await driver.close()
        assert file.data == b"a" * 512 + bytes(488) + b"b" * 512

    play(file, body, **options)


def test_by_default_much_is_reserved() -> None:
    class Noting(MemoryFile):
        asked: tuple[int, int] | None = None

        async def pwrite_zeroes(self, offset: int, length: int, flags: int = 0) -> None:
            self.asked = offset, length

    file = Noting()

    async def body(driver: PreallocateDriver) -> None:
        await driver.pwrite(0, memoryview(b"x" * 512), 0)

    play(file, body)
    assert file.asked == (0, 129 * MiB)


def test_what_is_reserved_is_used_before_more_is_reserved() -> None:
    file = MemoryFile()

    async def body(driver: PreallocateDriver) -> None:
        for offset in range(0, 61440, 4096):
            await driver.pwrite(offset, memoryview(b"x" * 4096), 0)
        await driver.pwrite_zeroes(61440, 4096, 0)
        assert driver.size == file.size == 65536
        # It was written once when it was reserved, and not again.
        assert 61440 not in [entry[1] for entry in file.log]

    play(file, body, prealloc_size=32768, prealloc_align=32768)


def test_when_nobody_resizes_any_more_the_file_is_cut_back() -> None:
    file = MemoryFile()

    async def body(driver: PreallocateDriver) -> None:
        await driver.pwrite(0, memoryview(b"x" * 4096), 0)
        assert file.size == 65536
        await driver.prepare_permissions(IDLE)
        assert file.size == driver.size == 4096

    play(file, body, prealloc_size=4096, prealloc_align=65536)


def test_a_file_that_cannot_be_made_larger_ahead_is_written_all_the_same() -> None:
    file = MemoryFile()

    async def body(driver: PreallocateDriver) -> None:
        file.fail_next = [OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))]
        await driver.pwrite(0, memoryview(b"x" * 4096), 0)
        assert file.size == driver.size == 4096

    play(file, body)


def test_while_reserving_nobody_else_may_write() -> None:
    driver = asyncio.run(open_filter(MemoryFile()))
    asked = driver.child_permissions("file", ACTIVE.used, PERM_ALL)
    assert asked == PermissionSet(ACTIVE.used, Permission.CONSISTENT_READ | Permission.WRITE_UNCHANGED)
    assert driver.child_permissions("file", IDLE.used, PERM_ALL) == IDLE


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"prealloc_align": 5}, "prealloc-align parameter of preallocate filter is not aligned to 512"),
        ({"prealloc_align": -512}, "Value '-512' is out of range for parameter 'prealloc-align'"),
        ({"prealloc_size": -1}, "Value '-1' is out of range for parameter 'prealloc-size'"),
    ],
)
def test_options_without_sense_are_refused(options: dict[str, int], text: str) -> None:
    with pytest.raises(QMPError) as caught:
        asyncio.run(open_filter(MemoryFile(), **options))
    assert caught.value.description == text


@pytest.mark.parametrize("seed", range(3))
def test_random_changes_look_as_on_a_plain_file(seed: int) -> None:
    rng, file, plain = random.Random(seed), MemoryFile(), bytearray()

    async def body(driver: PreallocateDriver) -> None:
        for _ in range(120):
            offset, length = rng.randrange(40) * 512, rng.randrange(1, 12) * 512
            end = offset + length
            match rng.randrange(4):
                case 0 | 1 as kind:
                    data = bytes([rng.randrange(1, 256)]) * length if kind else bytes(length)
                    if kind:
                        await driver.pwrite(offset, memoryview(data), 0)
                    else:
                        await driver.pwrite_zeroes(offset, length, 0)
                    plain.extend(bytes(max(end - len(plain), 0)))
                    plain[offset:end] = data
                case 2:
                    await driver.truncate(offset)
                    del plain[offset:]
                    plain.extend(bytes(offset - len(plain)))
                case _:
                    await driver.prepare_permissions(rng.choice((ACTIVE, IDLE)))
                    await driver.prepare_permissions(ACTIVE)
            assert driver.size == len(plain)
            assert await Engine(driver).read(0, 32768) == plain.ljust(32768, b"\0")
        await driver.close()
        assert file.data == plain

    play(file, body, prealloc_size=3072, prealloc_align=2048)
