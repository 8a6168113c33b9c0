"""What is about to change is copied first, and the past can be read until it is given up."""

import asyncio
import errno
import os
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from qmpserver.block.backend import BlockBackend
from qmpserver.block.block_copy import choose_cluster_size
from qmpserver.block.copy_before_write import KeptPointInTime, point_in_time_of
from qmpserver.block.dirty_bitmap import DirtyBitmap
from qmpserver.block.graph import NOTHING
from qmpserver.block.opener import Opener
from qmpserver.clock import ManualClock
from qmpserver.driver_api import flags
from qmpserver.driver_api.registry import DriverRegistry
from qmpserver.driver_api.surroundings import Surroundings
from qmpserver.errors import QMPError
from qmpserver.units import NS_PER_SECOND, KiB
from tests.unit.block.conftest import DRIVERS, Engine
from tests.unit.block.memory_drivers import FILES, MemoryFormat

CLUSTER = 64 * KiB
SIZE = 4 * CLUSTER
OURS = {
    **DRIVERS,
    "copy-before-write": "qmpserver.drivers.copy_before_write:CopyBeforeWriteDriver",
    "snapshot-access": "qmpserver.drivers.snapshot_access:SnapshotAccessDriver",
}


class Fleece:
    """A source full of `a`, an empty temporary image, a filter between them, and what reads the past."""

    def __init__(self) -> None:
        self.engine = Engine(OURS)
        self.clock = ManualClock()
        self.engine.opener = Opener(
            self.engine.graph,
            DriverRegistry(OURS),
            lambda options: options,
            lambda *report: None,
            surroundings=Surroundings(clock=self.clock),
        )

    async def set_up(self, **options: Any) -> None:
        self.source = await self.engine.add("source", "source", size=SIZE, discard="unmap")
        self.temp = await self.engine.add("temp", "temp", size=SIZE, discard="unmap")
        await self.source.pwrite(0, memoryview(b"a" * SIZE))
        self.filter = await self.engine.opener.open(
            {
                "driver": "copy-before-write",
                "node-name": "filter",
                "file": "source",
                "target": "temp",
                "discard": "unmap",
                **options,
            }
        )
        self.past = await self.engine.opener.open(
            {"driver": "snapshot-access", "node-name": "past", "file": "filter", "discard": "unmap"}
        )

    @property
    def kept(self) -> KeptPointInTime:
        return point_in_time_of(self.filter)

    async def read_past(self, offset: int = 0, length: int = SIZE) -> bytes:
        into = bytearray(length)
        await self.past.pread(offset, memoryview(into))
        return bytes(into)


Scenario = Callable[[Fleece], Coroutine[Any, Any, None]]


@pytest.fixture
def play() -> Iterator[Callable[[Scenario], None]]:
    """Run a scenario on fresh nodes."""

    def run(scenario: Scenario) -> None:
        FILES.clear()
        MemoryFormat.images.clear()
        asyncio.run(asyncio.wait_for(scenario(Fleece()), 10))

    yield run
    FILES.clear()
    MemoryFormat.images.clear()


Play = Callable[[Scenario], None]


def test_a_write_copies_the_clusters_it_touches_and_no_others(play: Play) -> None:
    async def scenario(fleece: Fleece) -> None:
        await fleece.set_up()
        await fleece.filter.pwrite(CLUSTER - 1, memoryview(b"bb"))
        await fleece.filter.pwrite_zeroes(CLUSTER, 512)
        await fleece.filter.pdiscard(2 * CLUSTER, CLUSTER)
        assert [fleece.kept.done.is_dirty(index * CLUSTER) for index in range(4)] == [True, True, True, False]
        assert fleece.kept.copy.bitmap.count == CLUSTER
        assert len(fleece.temp.driver.table) == 3 * CLUSTER // fleece.temp.driver.cluster_size
        assert await fleece.read_past() == b"a" * SIZE
        status = await fleece.past.block_status(0, SIZE)
        assert (status.is_data, status.is_allocated) == (True, True)

    play(scenario)


def test_what_leaves_the_content_as_it_is_copies_nothing(play: Play) -> None:
    async def scenario(fleece: Fleece) -> None:
        await fleece.set_up()
        await fleece.filter.pwrite(0, memoryview(b"a" * 512), flags.WRITE_UNCHANGED)
        assert fleece.kept.copy.bitmap.count == SIZE

    play(scenario)


def test_a_write_fails_when_what_it_replaces_cannot_be_copied(play: Play) -> None:
    async def scenario(fleece: Fleece) -> None:
        await fleece.set_up()
        file = fleece.temp.children["file"].node.driver
        file.fail_writes = errno.ENOSPC
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            await fleece.filter.pwrite(0, memoryview(b"b"))
        file.fail_writes = None
        assert await fleece.read_past() == b"a" * SIZE
        await fleece.filter.pwrite(0, memoryview(b"b"))
        assert await fleece.read_past() == b"a" * SIZE

    play(scenario)


def test_or_the_past_is_lost(play: Play) -> None:
    async def scenario(fleece: Fleece) -> None:
        await fleece.set_up(**{"on-cbw-error": "break-snapshot"})
        lost: list[str] = []
        fleece.kept.on_lost = lambda: lost.append("lost")
        fleece.temp.children["file"].node.driver.fail_writes = errno.EIO
        await fleece.filter.pwrite(0, memoryview(b"b"))
        await fleece.filter.pwrite(CLUSTER, memoryview(b"b"))
        assert lost == ["lost"]
        with pytest.raises(PermissionError):
            await fleece.read_past(3 * CLUSTER, 512)
        with pytest.raises(PermissionError):
            await fleece.past.block_status(0, SIZE)

    play(scenario)


def test_a_copy_that_takes_too_long_counts_as_failed(play: Play) -> None:
    async def scenario(fleece: Fleece) -> None:
        await fleece.set_up(**{"cbw-timeout": 3})
        gate = fleece.temp.children["file"].node.driver.gate = asyncio.Event()
        write = asyncio.ensure_future(fleece.filter.pwrite(0, memoryview(b"b")))
        for _ in range(10):
            await asyncio.sleep(0)
        fleece.clock.advance(3 * NS_PER_SECOND)
        with pytest.raises(TimeoutError):
            await write
        gate.set()
        await fleece.filter.pwrite(0, memoryview(b"b"))
        assert await fleece.read_past() == b"a" * SIZE

    play(scenario)


def test_a_write_waits_for_those_who_read_what_it_replaces(play: Play) -> None:
    async def scenario(fleece: Fleece) -> None:
        await fleece.set_up()
        file = fleece.source.children["file"].node.driver
        await fleece.kept.copy.copy(0, SIZE)
        gate = file.gate = asyncio.Event()
        read = asyncio.ensure_future(fleece.read_past(0, 512))
        await asyncio.sleep(0)
        write = asyncio.ensure_future(fleece.filter.pwrite(0, memoryview(b"b" * 512)))
        for _ in range(10):
            await asyncio.sleep(0)
        gate.set()
        assert await read == b"a" * 512
        await write
        assert await fleece.read_past(0, 512) == b"a" * 512

    play(scenario)


def test_only_what_a_bitmap_has_marked_is_kept(play: Play) -> None:
    async def scenario(fleece: Fleece) -> None:
        bitmap = DirtyBitmap(SIZE, CLUSTER, "b")
        bitmap.set(CLUSTER, CLUSTER)
        holder = await fleece.engine.add("holder", "holder", size=SIZE)
        holder.dirty_bitmaps.append(bitmap)
        await fleece.set_up(bitmap={"node": "holder", "name": "b"})
        await fleece.filter.pwrite(0, memoryview(b"b" * SIZE))
        assert await fleece.read_past(CLUSTER, CLUSTER) == b"a" * CLUSTER
        for offset in (0, 2 * CLUSTER - 1):
            with pytest.raises(PermissionError):
                await fleece.read_past(offset, 2)

    play(scenario)


def test_what_is_discarded_of_the_past_is_gone_and_not_copied(play: Play) -> None:
    async def scenario(fleece: Fleece) -> None:
        await fleece.set_up()
        await fleece.filter.pwrite(0, memoryview(b"b"))
        await fleece.past.pdiscard(0, 2 * CLUSTER + 512)
        await fleece.filter.pwrite(CLUSTER, memoryview(b"b"))
        assert not fleece.temp.driver.table
        with pytest.raises(PermissionError):
            await fleece.read_past(0, 1)
        assert await fleece.read_past(2 * CLUSTER, CLUSTER) == b"a" * CLUSTER

    play(scenario)


def test_the_past_cannot_be_changed_and_not_every_node_has_one(play: Play) -> None:
    async def scenario(fleece: Fleece) -> None:
        await fleece.set_up()
        plain = await fleece.engine.opener.open(
            {"driver": "snapshot-access", "node-name": "plain", "file": "source"}
        )
        for request in (
            fleece.past.pwrite(0, memoryview(b"b")),
            fleece.past.pwrite_zeroes(0, 512),
            plain.pread(0, memoryview(bytearray(1))),
            plain.block_status(0, 1),
        ):
            with pytest.raises(OSError, match=os.strerror(errno.ENOTSUP)):
                await request

    play(scenario)


def test_a_request_held_back_goes_to_the_node_that_was_put_in_meanwhile(play: Play) -> None:
    async def scenario(fleece: Fleece) -> None:
        source = await fleece.engine.add("source", "source", size=SIZE)
        await fleece.engine.add("temp", "temp", size=SIZE)
        backend = BlockBackend(fleece.engine.graph)
        await backend.insert(source, NOTHING)
        assert backend.root is not None
        async with source.drained():
            write = asyncio.ensure_future(backend.pwrite(0, memoryview(b"b")))
            await asyncio.sleep(0)
            options = {
                "driver": "copy-before-write",
                "node-name": "filter",
                "file": "source",
                "target": "temp",
            }
            fleece.filter = await fleece.engine.opener.open(options)
            fleece.engine.graph.lead(backend.root, fleece.filter)
        await write
        assert fleece.kept.done.is_dirty(0)

    play(scenario)


def test_clusters_are_those_of_the_target_and_a_power_of_two(play: Play) -> None:
    async def scenario(fleece: Fleece) -> None:
        await fleece.set_up(**{"min-cluster-size": 2 * CLUSTER})
        assert fleece.kept.copy.cluster_size == 2 * CLUSTER
        assert choose_cluster_size(fleece.filter, 0) == CLUSTER
        fleece.source.driver.image_info = lambda: {"cluster-size": 1 << 20}
        assert choose_cluster_size(fleece.filter, 0) == 1 << 20
        for size in (1000, 1 << 32):
            with pytest.raises(QMPError, match="min-cluster-size"):
                choose_cluster_size(fleece.temp, size)

    play(scenario)
