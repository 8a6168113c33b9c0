"""A backup answers errors as told, gives its bitmap back as asked, and leaves nothing behind."""

import asyncio
import errno
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from qmpserver.clock import ManualClock
from qmpserver.errors import QMPError
from qmpserver.server import Server
from qmpserver.units import NS_PER_MS, KiB
from tests.unit.block import memory_drivers
from tests.unit.block.memory_drivers import FILES, MemoryFormat

CLUSTER = 64 * KiB
SIZE = 8 * CLUSTER
TURNS = 40


class Bench:
    """A server with a source full of `a` and an empty target, and the events jobs cause."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.server = Server(clock=self.clock)
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.server.daemon.events.subscribe(lambda event: self.seen.append((event.name, event.data or {})))

    async def set_up(self) -> None:
        for name in ("source", "target"):
            FILES[name] = bytearray()
            file = {"driver": "file", "filename": name, "node-name": f"{name}-file"}
            await self.server.blockdev_add(
                {"driver": "raw", "node-name": name, "size": SIZE, "file": file, "discard": "unmap"}
            )
        self.source, self.target = (self.node(name) for name in ("source", "target"))
        await self.source.pwrite(0, memoryview(b"a" * SIZE))

    def node(self, name: str) -> Any:
        return self.server.daemon.graph.find(name)

    def disk(self, name: str) -> Any:
        return self.node(f"{name}-file").driver

    async def start(self, **options: Any) -> None:
        arguments = {"job-id": "j", "device": "source", "target": "target", "sync": "full"}
        given = {key.replace("_", "-"): value for key, value in options.items()}
        await self.server.execute("blockdev-backup", arguments | given)

    async def execute(self, command: str, **arguments: Any) -> Any:
        return await self.server.execute(
            command, {key.replace("_", "-"): value for key, value in arguments.items()}
        )

    async def pass_time(self, milliseconds: int = 0) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)
        self.clock.advance(milliseconds * NS_PER_MS)
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def target_content(self) -> bytes:
        found = bytearray(SIZE)
        await self.target.pread(0, memoryview(found))
        return bytes(found)

    def told(self, name: str) -> list[dict[str, Any]]:
        return [data for seen, data in self.seen if seen == name]

    async def dirty(self, name: str = "b") -> int:
        bitmap = next(bitmap for bitmap in self.source.dirty_bitmaps if bitmap.name == name)
        assert not bitmap.is_busy
        return int(bitmap.count)


Scenario = Callable[[Bench], Coroutine[Any, Any, None]]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Scenario], None]]:
    """Run a scenario on a server over memory."""
    memory = memory_drivers.__name__
    drivers = {
        "file": f"{memory}:MemoryFile",
        "raw": f"{memory}:MemoryFormat",
        "copy-before-write": "qmpserver.drivers.copy_before_write:CopyBeforeWriteDriver",
    }
    monkeypatch.setattr("qmpserver.engine.DRIVERS", drivers)

    def run(scenario: Scenario) -> None:
        async def main() -> None:
            bench = Bench()
            await bench.set_up()
            await scenario(bench)
            nodes = {"source", "target", "source-file", "target-file"}
            assert {node.node_name for node in bench.server.daemon.graph} == nodes
            assert not bench.source.busy_reasons
            assert not bench.target.busy_reasons
            await bench.server.close()

        FILES.clear()
        MemoryFormat.images.clear()
        asyncio.run(asyncio.wait_for(main(), 10))

    yield run
    FILES.clear()
    MemoryFormat.images.clear()


Play = Callable[[Scenario], None]


def test_an_error_to_be_ignored_is_tried_again_later(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        bench.disk("target").fail_writes = errno.EIO
        await bench.start(on_target_error="ignore")
        await bench.pass_time()
        tried = len(bench.told("BLOCK_JOB_ERROR"))
        assert tried == 1
        await bench.pass_time()
        assert len(bench.told("BLOCK_JOB_ERROR")) == tried
        await bench.pass_time(100)
        assert len(bench.told("BLOCK_JOB_ERROR")) == tried + 1
        bench.disk("target").fail_writes = None
        await bench.pass_time(100)
        assert "error" not in bench.told("BLOCK_JOB_COMPLETED")[0]
        assert await bench.target_content() == b"a" * SIZE

    play(scenario)


def test_an_error_that_stops_the_job_is_shown_and_forgotten(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        bench.disk("target").fail_writes = errno.ENOSPC
        await bench.start(on_target_error="enospc")
        await bench.pass_time()
        job = (await bench.execute("query-block-jobs"))[0]
        assert (job["status"], job["io-status"], job["paused"]) == ("paused", "nospace", True)
        assert bench.told("BLOCK_JOB_ERROR") == [{"device": "j", "operation": "write", "action": "stop"}]
        bench.disk("target").fail_writes = None
        await bench.execute("job-resume", id="j")
        await bench.pass_time()
        assert "error" not in bench.told("BLOCK_JOB_COMPLETED")[0]
        assert await bench.target_content() == b"a" * SIZE

    play(scenario)


@pytest.mark.parametrize(
    ("mode", "fails", "left"),
    [
        ("on-success", False, 1),
        ("on-success", True, 3),
        ("never", False, 3),
        ("never", True, 3),
        ("always", False, 1),
        ("always", True, 3),
    ],
)
def test_a_bitmap_begins_anew_as_its_mode_has_it(play: Play, mode: str, fails: bool, left: int) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.execute("block-dirty-bitmap-add", node="source", name="b", granularity=CLUSTER)
        await bench.source.pwrite(0, memoryview(b"b" * 2 * CLUSTER))
        bench.disk("target").gate = asyncio.Event()
        await bench.start(sync="bitmap", bitmap="b", bitmap_mode=mode)
        # What is not to be copied may change at once.
        await bench.node("source").parents[0].parent.driver.pwrite(4 * CLUSTER, memoryview(b"c"), 0)
        bench.disk("target").fail_writes = errno.EIO if fails else None
        bench.disk("target").gate.set()
        await bench.pass_time()
        assert ("error" in bench.told("BLOCK_JOB_COMPLETED")[0]) is fails
        assert await bench.dirty() == left * CLUSTER
        assert len(bench.source.dirty_bitmaps) == 1
        bench.disk("target").fail_writes = None
        if not fails:
            assert await bench.target_content() == b"b" * 2 * CLUSTER + bytes(SIZE - 2 * CLUSTER)

    play(scenario)


def test_a_backup_whose_past_is_lost_fails(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.start(on_cbw_error="break-snapshot", speed=1, x_perf={"max-chunk": CLUSTER})
        await bench.pass_time()
        bench.disk("target").fail_writes = errno.ENOSPC
        filter_node = bench.source.parents[0].parent
        await filter_node.pwrite(SIZE - CLUSTER, memoryview(b"b"))
        bench.disk("target").fail_writes = None
        await bench.pass_time()
        (ended,) = bench.told("BLOCK_JOB_COMPLETED")
        assert ended["error"] == "No space left on device"

    play(scenario)


def test_what_has_been_copied_is_discarded_if_so_asked(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.start(discard_source=True)
        await bench.pass_time()
        assert not bench.source.driver.table
        assert await bench.target_content() == b"a" * SIZE

    play(scenario)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"x_perf": {"max-chunk": 512}}, "less than backup cluster size"),
        ({"speed": -1}, "non-negative"),
        ({"job_id": "1"}, "Invalid job ID"),
        ({"filter_node_name": "source"}, "Could not create node: Duplicate nodes"),
        ({"x_perf": {"min-cluster-size": 1000}}, "power of 2"),
    ],
)
def test_a_backup_that_cannot_start_leaves_nothing_behind(
    play: Play, options: dict[str, Any], text: str
) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.execute("block-dirty-bitmap-add", node="source", name="b", granularity=CLUSTER)
        await bench.source.pwrite(0, memoryview(b"b"))
        with pytest.raises(QMPError, match=text):
            await bench.start(sync="incremental", bitmap="b", **options)
        assert await bench.dirty() == CLUSTER
        assert len(bench.source.dirty_bitmaps) == 1
        assert await bench.execute("query-jobs") == []

    play(scenario)


def test_a_transaction_begins_its_jobs_together_or_not_at_all(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        data = {"job-id": "j", "device": "source", "target": "target", "sync": "full"}
        actions = [{"type": "blockdev-backup", "data": data}, {"type": "abort", "data": {}}]
        with pytest.raises(QMPError, match="Abort action"):
            await bench.execute("transaction", actions=actions)
        assert [data["status"] for data in bench.told("JOB_STATUS_CHANGE")] == [
            "created",
            "aborting",
            "concluded",
            "null",
        ]
        await bench.execute("transaction", actions=actions[:1])
        await bench.pass_time()
        assert await bench.target_content() == b"a" * SIZE

    play(scenario)
