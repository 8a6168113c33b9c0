"""A quorum does what enough of its children can do, and tells of the others."""

import asyncio
import errno
import os
from typing import Any

import pytest

from qmpserver.driver_api.flags import PREFETCH
from qmpserver.driver_api.permissions import PERM_ALL, PERM_NONE, Permission, PermissionSet
from qmpserver.driver_api.status import BlockStatus
from qmpserver.driver_api.surroundings import Surroundings
from qmpserver.drivers.quorum.driver import QuorumDriver
from qmpserver.drivers.quorum.voting import votes
from qmpserver.errors import QMPError
from tests.contract.driver_contract import DriverContract
from tests.contract.engine import MemoryFile
from tests.unit.drivers.context import NodeContext

SIZE = 65536
EIO = OSError(errno.EIO, os.strerror(errno.EIO))


class Child(MemoryFile):
    """A child with a name, whose reads can fail and that may know of zeroes."""

    def __init__(self, name: str, fill: bytes = b"\0") -> None:
        super().__init__(fill * SIZE)
        self.node_name = name
        self.read_error: OSError | None = None
        self.zero_to = 0

    async def pread(self, offset: int, into: memoryview, flags: int = 0) -> None:
        assert not flags & PREFETCH
        if self.read_error is not None:
            raise self.read_error
        await super().pread(offset, into, flags)

    async def block_status(self, offset: int, length: int) -> BlockStatus:
        if self.read_error is not None:
            raise self.read_error
        is_zero = offset < self.zero_to
        length = min(length, self.zero_to - offset) if is_zero else length
        return BlockStatus(length, not is_zero, is_zero, True)


class World:
    """A quorum and what it told."""

    def __init__(self, fills: str = "aaa", threshold: int = 2, **options: Any) -> None:
        self.children = [Child(f"c{at}", fill.encode()) for at, fill in enumerate(fills)]
        self.told: list[tuple[str, dict[str, Any]]] = []
        named = {name.replace("_", "-"): value for name, value in options.items()}
        self.context = NodeContext(
            {f"children.{at}": child for at, child in enumerate(self.children)},
            options={"vote-threshold": threshold, **named},
            surroundings=Surroundings(emit=lambda name, data: self.told.append((name, data))),
        )

    async def open(self) -> QuorumDriver:
        return await QuorumDriver.open(self.context)

    def fail(self, *indices: int) -> None:
        """Have the next write or flush of some children fail."""
        for index in indices:
            self.children[index].fail_next = [EIO]

    def read(self, offset: int = 0, length: int = 4096) -> bytes | int | None:
        """Return what was read, or the errno."""

        async def main() -> bytes | int | None:
            into = bytearray(length)
            try:
                await (await self.open()).pread(offset, memoryview(into), PREFETCH)
            except OSError as error:
                return error.errno
            return bytes(into)

        return asyncio.run(main())


def bad(name: str, kind: str = "read", error: str | None = None, at: int = 0, count: int = 8) -> Any:
    data: dict[str, Any] = {"type": kind, "node-name": name, "sector-num": at, "sectors-count": count}
    return ("QUORUM_REPORT_BAD", data | ({"error": error} if error else {}))


def failure(at: int = 0, count: int = 8) -> Any:
    return ("QUORUM_FAILURE", {"reference": "node0", "sector-num": at, "sectors-count": count})


@pytest.mark.parametrize(
    ("fills", "threshold", "result", "told"),
    [
        ("aaa", 2, b"a" * 4096, []),
        ("aab", 2, b"a" * 4096, [bad("c2")]),
        ("baa", 2, b"a" * 4096, [bad("c0")]),
        ("abc", 2, errno.EIO, [failure()]),
        ("aab", 3, errno.EIO, [failure()]),
        ("abab", 1, b"a" * 4096, [bad("c1"), bad("c3")]),
        ("a", 1, b"a" * 4096, []),
    ],
)
def test_what_most_children_hold_is_read(
    fills: str, threshold: int, result: bytes | int, told: list[Any]
) -> None:
    world = World(fills, threshold)
    assert world.read() == result
    assert world.told == told


def test_the_sectors_told_are_those_that_the_request_touches() -> None:
    world = World("aab")
    world.read(1000, 100)
    assert world.told == [bad("c2", at=1, count=2)]


def test_children_that_fail_are_told_of_and_too_many_are_an_error() -> None:
    world = World("aab")
    world.children[0].read_error = OSError(errno.ENOSPC, "")
    assert world.read() == errno.EIO
    assert world.told == [bad("c0", error="No space left on device"), failure()]
    world = World()
    world.children[0].read_error = world.children[1].read_error = OSError(errno.ENOSPC, "")
    assert world.read() == errno.ENOSPC
    assert [name for name, _ in world.told] == ["QUORUM_REPORT_BAD"] * 2 + ["QUORUM_FAILURE"]


def test_what_is_outvoted_is_put_right_when_asked_for() -> None:
    world = World("aab", rewrite_corrupted=True)
    assert world.read() == b"a" * 4096
    assert world.children[2].data == b"a" * 4096 + b"b" * (SIZE - 4096)
    assert asyncio.run(world.open()).child_permissions("children.0", PERM_NONE, PERM_ALL) == PermissionSet(
        Permission.WRITE, Permission.CONSISTENT_READ | Permission.WRITE_UNCHANGED
    )


def test_with_blkverify_a_difference_is_an_error() -> None:
    world = World("ab", blkverify=True)
    assert world.read() == errno.EIO
    assert world.told == []
    assert World("aa", blkverify=True).read() == b"a" * 4096


def test_in_fifo_order_the_first_that_does_not_fail_is_read() -> None:
    world = World("abc", read_pattern="fifo")
    assert world.read() == b"a" * 4096
    world.children[0].read_error = EIO
    assert world.read() == b"b" * 4096
    assert world.told == [bad("c0", error="Input/output error")]
    world.children[1].read_error = world.children[2].read_error = EIO
    assert world.read() == errno.EIO


def test_a_write_reaches_all_and_succeeds_where_enough_do() -> None:
    async def main() -> None:
        world = World()
        driver = await world.open()
        world.fail(1)
        await driver.pwrite(0, memoryview(b"x" * 512), 0)
        assert world.told == [bad("c1", "write", "Input/output error", count=1)]
        assert [child.data[:1] for child in world.children] == [b"x", b"a", b"x"]
        world.told.clear()
        world.fail(0, 2)
        with pytest.raises(OSError, match="Input/output error"):
            await driver.pwrite_zeroes(512, 512, 0)
        assert world.told[-1] == failure(1, 1)
        world.told.clear()
        world.fail(0, 2)
        with pytest.raises(OSError, match="Input/output error"):
            await driver.flush()
        flush_failed = [bad(name, "flush", "Input/output error", 0, 0) for name in ("c0", "c2")]
        assert world.told == flush_failed

    asyncio.run(main())


def test_a_range_is_zero_only_if_all_say_so() -> None:
    async def main() -> None:
        world = World()
        driver = await world.open()
        for child, zero_to in zip(world.children, (8192, 4096, 12288), strict=True):
            child.zero_to = zero_to
        assert await driver.block_status(0, SIZE) == BlockStatus(4096, False, True, True)
        assert await driver.block_status(4096, 4096) == BlockStatus(4096, True, False, True)
        world.children[2].read_error = EIO
        assert (await driver.block_status(0, SIZE)).is_data
        assert world.told == [bad("c2", error="Input/output error", count=SIZE // 512)]

    asyncio.run(main())


def test_children_come_and_go() -> None:
    async def main() -> None:
        driver = await World().open()
        driver.check_removable("children.1")
        driver.child_removed("children.1")
        with pytest.raises(QMPError) as caught:
            driver.check_removable("children.0")
        assert caught.value.description == "The number of children cannot be lower than the vote threshold 2"
        assert driver.next_child().name == "children.3"
        driver.child_added("children.3", Child("new", b"a"))
        into = bytearray(512)
        await driver.pread(0, memoryview(into), 0)
        assert into == b"a" * 512
        driver.child_removed("children.3")
        assert driver.next_child().name == "children.3"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("fills", "threshold", "options", "text"),
    [
        ("a", 0, {}, "Parameter 'vote-threshold' expects a value >= 1"),
        ("aa", 3, {}, "threshold may not exceed children count"),
        ("", 1, {}, "Number of provided children must be 1 or more"),
        (
            "aaa",
            2,
            {"blkverify": True},
            "blkverify=on can only be set if there are exactly two files and vote-threshold is 2",
        ),
        (
            "aa",
            2,
            {"blkverify": True, "rewrite_corrupted": True},
            "rewrite-corrupted=on cannot be used with blkverify=on",
        ),
    ],
)
def test_options_without_sense_are_refused(
    fills: str, threshold: int, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(QMPError) as caught:
        asyncio.run(World(fills, threshold, **options).open())
    assert caught.value.description == text


def test_children_of_different_sizes_are_refused() -> None:
    world = World()
    del world.children[1].data[512:]
    with pytest.raises(QMPError, match="Could not refresh total sector count: Input/output error"):
        asyncio.run(world.open())


def test_of_two_versions_said_as_often_the_older_wins() -> None:
    assert votes({1: "b", 2: "a", 3: "a", 4: "b", 5: "c"}) == [("b", [1, 4]), ("a", [2, 3]), ("c", [5])]


class TestQuorum(DriverContract):
    """A quorum of one child; the others mirror it."""

    async def make(self, file: MemoryFile) -> None:
        await file.truncate(self.size)

    async def open(self, file: MemoryFile, *, read_only: bool = False) -> QuorumDriver:
        context = NodeContext({"children.0": file}, options={"vote-threshold": 1})
        return await QuorumDriver.open(context)

    def test_growing_shows_zeroes_and_shrinking_forgets(self) -> None:
        with pytest.raises(OSError, match=os.strerror(errno.ENOTSUP)):
            asyncio.run(self._truncate())

    async def _truncate(self) -> None:
        await (await self.open(MemoryFile(bytes(512)))).truncate(1024)
