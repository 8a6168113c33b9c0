"""A backup, and what a fleecing client reads, is the source as it was at one moment, whatever happens meanwhile."""

import asyncio
import contextlib
import errno
import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, ClassVar, Self

import pytest

from qmpserver.block.node import Node
from qmpserver.clock import ManualClock
from qmpserver.driver_api.opening import OpenContext
from qmpserver.drivers.copy_before_write import CopyBeforeWriteDriver
from qmpserver.errors import QMPError
from qmpserver.server import Server
from qmpserver.units import NS_PER_MS, KiB
from tests.unit.block import troubled_drivers
from tests.unit.block.memory_drivers import FILES, MemoryFormat
from tests.unit.block.troubled_drivers import SlowFile

CLUSTER = 4 * KiB
COPIED = 64 * KiB
SIZE = 6 * COPIED + 3 * CLUSTER
AREAS = SIZE // CLUSTER
STEPS = 60


class WitnessFilter(CopyBeforeWriteDriver):
    """The real filter, which notes what its source holds when it is opened."""

    seen: ClassVar[list[bytes]] = []

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        edge: Any = context.child("file")
        cls.seen.append(content(edge.node))
        return await super().open(context)


def content(node: Node) -> bytes:
    """Return what a node of the memory format shows, without asking the engine."""
    driver = node.driver
    if not isinstance(driver, MemoryFormat):
        return content(node.children["file"].node)
    backing = node.backing
    whole = bytearray(content(backing) if backing is not None else bytes(SIZE))
    whole.extend(bytes(SIZE - len(whole)))
    data: bytearray = node.children["file"].node.driver.data  # type: ignore[attr-defined]
    for index, host in driver.table.items():
        piece = bytes(CLUSTER) if host is None else bytes(data[host : host + CLUSTER])
        whole[index * CLUSTER : (index + 1) * CLUSTER] = piece.ljust(CLUSTER, b"\0")
    return bytes(whole[: node.size])


@pytest.fixture(autouse=True)
def slow_drivers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have servers work on memory."""
    slow = troubled_drivers.__name__
    drivers = {
        "file": f"{slow}:SlowFile",
        "raw": f"{slow}:SlowFormat",
        "copy-before-write": f"{__name__}:WitnessFilter",
        "snapshot-access": "qmpserver.drivers.snapshot_access:SnapshotAccessDriver",
    }
    monkeypatch.setattr("qmpserver.engine.DRIVERS", drivers)
    yield
    FILES.clear()
    MemoryFormat.images.clear()


class World:
    """A server with a source over a base, a target, a guest that never rests, and dice."""

    def __init__(self, seed: int) -> None:
        FILES.clear()
        MemoryFormat.images.clear()
        WitnessFilter.seen.clear()
        self.dice = random.Random(seed)
        SlowFile.random = random.Random(seed)
        self.clock = ManualClock()
        self.server = Server(clock=self.clock)
        self.model = bytearray(SIZE)
        self.tasks: set[asyncio.Task[Any]] = set()
        self.endings: dict[str, dict[str, Any]] = {}
        self.server.daemon.events.subscribe(self._note)
        self._locks = defaultdict[int, asyncio.Lock](asyncio.Lock)

    def _note(self, event: Any) -> None:
        if event.name in {"BLOCK_JOB_COMPLETED", "BLOCK_JOB_CANCELLED"}:
            self.endings[event.data["device"]] = event.data

    async def add(self, name: str, **options: Any) -> Node:
        FILES[name] = bytearray()
        file = {"driver": "file", "filename": name, "node-name": f"{name}-file"}
        options = {
            "driver": "raw",
            "node-name": name,
            "size": SIZE,
            "file": file,
            "discard": "unmap",
        } | options
        await self.server.blockdev_add(options)
        node = self.server.daemon.graph.get(name)
        assert node is not None
        return node

    async def fill(self, name: str) -> None:
        async with self.server.backend(name, writable=True) as backend:
            for index in range(AREAS):
                if self.dice.random() < 0.5:
                    data = self.dice.randbytes(CLUSTER)
                    await backend.pwrite(index * CLUSTER, memoryview(data))
                    self.model[index * CLUSTER : (index + 1) * CLUSTER] = data

    async def execute(self, command: str, **arguments: Any) -> Any:
        return await self.server.execute(command, {key.replace("_", "-"): v for key, v in arguments.items()})

    # The guest

    async def guest(self, backend: Any) -> None:
        """Write, zero, discard or read one place; one request at a time touches an area."""
        dice = self.dice
        first = dice.randrange(AREAS)
        offset = first * CLUSTER + dice.randrange(CLUSTER)
        length = dice.choice((1, 512, CLUSTER, 3 * CLUSTER, COPIED))
        length = min(length, SIZE - offset)
        areas = range(offset // CLUSTER, (offset + length - 1) // CLUSTER + 1)
        for area in areas:
            await self._locks[area].acquire()
        try:
            await self._use(backend, offset, length)
        except OSError as error:
            if error.errno not in {errno.EIO, errno.ENOSPC, errno.ETIMEDOUT}:
                raise
            # What of it was written is not known; a read tells.
            await self._look_again(backend, offset, length)
        finally:
            for area in areas:
                self._locks[area].release()

    async def _use(self, backend: Any, offset: int, length: int) -> None:
        match self.dice.randrange(5):
            case 0:
                await backend.pwrite_zeroes(offset, length)
                self.model[offset : offset + length] = bytes(length)
            case 1:
                await backend.pdiscard(offset, length)
                await self._look_again(backend, offset, length)
            case 2:
                found = bytearray(length)
                await backend.pread(offset, memoryview(found))
                assert found == self.model[offset : offset + length]
            case _:
                data = self.dice.randbytes(length)
                await backend.pwrite(offset, memoryview(data))
                self.model[offset : offset + length] = data

    async def _look_again(self, backend: Any, offset: int, length: int) -> None:
        found = bytearray(length)
        while True:
            try:
                await backend.pread(offset, memoryview(found))
            except OSError:
                await asyncio.sleep(0)
            else:
                break
        self.model[offset : offset + length] = found

    def begin(self, work: Any) -> None:
        task = asyncio.ensure_future(self._quietly(work))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _quietly(self, work: Any) -> None:
        with contextlib.suppress(QMPError):
            await work

    async def pass_time(self) -> None:
        for _ in range(self.dice.choice((0, 1, 2, 5, 20))):
            await asyncio.sleep(0)
        if self.dice.random() < 0.3:
            self.clock.advance(self.dice.choice((1, 100, 1000)) * NS_PER_MS)

    async def settle(self) -> None:
        while self.tasks:
            await asyncio.wait(self.tasks)

    async def finish(self) -> None:
        """Mend every disk, and let everything come to its end."""
        for node in self.server.daemon.graph:
            if isinstance(node.driver, SlowFile):
                node.driver.fail_reads_at, node.driver.fail_writes = set(), None
        await self.settle()
        await self._finish_jobs()

    async def _finish_jobs(self) -> None:
        for _ in range(400):
            jobs = list(self.server.daemon.jobs)
            if not jobs:
                return
            for job in jobs:
                for verb, arguments in (
                    ("block-job-set-speed", {"device": job.job_id, "speed": 0}),
                    ("job-resume", {"id": job.job_id}),
                    ("job-finalize", {"id": job.job_id}),
                    ("job-dismiss", {"id": job.job_id}),
                ):
                    await self._quietly(self.server.execute(verb, arguments))
            self.clock.advance(1000 * NS_PER_MS)
            await asyncio.sleep(0)
        raise AssertionError(f"jobs that do not end: {[(job.job_id, job.status) for job in jobs]}")

    async def close(self) -> None:
        await self.settle()
        for node in self.server.daemon.graph:
            assert not node.busy_reasons, node
            assert not len(node.requests), node
        await self.server.close()


def disturb(world: World, names: tuple[str, ...]) -> None:
    """Break a disk, or mend it."""
    driver: Any = world.server.daemon.graph.find(f"{world.dice.choice(names)}-file").driver
    if world.dice.random() < 0.6:
        driver.fail_reads_at, driver.fail_writes = set(), None
    elif world.dice.random() < 0.5:
        driver.fail_reads_at = {world.dice.randrange(len(driver.data) or 1)}
    else:
        driver.fail_writes = world.dice.choice((errno.EIO, errno.ENOSPC))


async def back_up(seed: int) -> bool:
    """Run one backup under fire; say whether it succeeded."""
    world = World(seed)
    dice = world.dice
    await world.add("base")
    await world.fill("base")
    source = await world.add("source", backing="base")
    await world.fill("source")
    sync = dice.choice(("full", "full", "top"))
    target = await world.add("target", **({"backing": "base"} if sync == "top" else {}))
    world.model[:] = content(source)
    ended = False
    async with world.server.backend("source", writable=True) as backend:
        for step in range(STEPS):
            world.begin(world.guest(backend))
            if step == STEPS // 4:
                world.begin(start(world, sync=sync))
            if step > STEPS // 4 and dice.random() < 0.4:
                world.begin(world.execute(*verb(dice)[:1], **verb(dice)[1]))
            if dice.random() < 0.15:
                disturb(world, ("target",) if dice.random() < 0.7 else ("source", "base"))
            await world.pass_time()
        await world.finish()
        ended = world.endings.get("j", {"error": "none"}).get("error") is None and "j" in world.endings
        found = bytearray(SIZE)
        await backend.pread(0, memoryview(found))
        assert found == world.model, seed
    if ended:
        assert content(target) == WitnessFilter.seen[0], seed
    await world.close()
    return ended


async def start(world: World, **options: Any) -> None:
    dice = world.dice
    await world.execute(
        "blockdev-backup",
        job_id="j",
        device="source",
        target="target",
        speed=dice.choice((0, 0, 64 * KiB)),
        on_source_error=dice.choice(("stop", "ignore", "enospc", "report")),
        on_target_error=dice.choice(("stop", "ignore", "enospc")),
        on_cbw_error=dice.choice(("break-guest-write", "break-guest-write", "break-snapshot")),
        auto_finalize=dice.random() < 0.7,
        auto_dismiss=dice.random() < 0.7,
        x_perf={"max-workers": dice.choice((1, 2, 64)), "max-chunk": dice.choice((0, COPIED))},
        **options,
    )


def verb(dice: random.Random) -> tuple[str, dict[str, Any]]:
    return dice.choice(
        (
            ("job-pause", {"id": "j"}),
            ("job-resume", {"id": "j"}),
            ("block-job-set-speed", {"device": "j", "speed": dice.choice((0, 1, 64 * KiB))}),
            ("query-block-jobs", {}),
            ("query-named-block-nodes", {"flat": True}),
        )
    )


async def add_up(seed: int) -> int:
    """Make one backup after the other, each of what has changed since the last; return how many succeeded."""
    world = World(seed)
    await world.add("base")
    source = await world.add("source", backing="base")
    await world.fill("source")
    target = await world.add("target")
    world.model[:] = content(source)
    await world.execute("block-dirty-bitmap-add", node="source", name="b")
    options: dict[str, Any] = {"sync": "full", "bitmap_mode": "on-success"}
    succeeded = 0
    async with world.server.backend("source", writable=True) as backend:
        for _ in range(4):
            world.endings.clear()
            for step in range(STEPS // 4):
                world.begin(world.guest(backend))
                if step == 2:
                    world.begin(start(world, bitmap="b", **options))
                if world.dice.random() < 0.15:
                    disturb(world, ("target", "source"))
                await world.pass_time()
            await world.finish()
            if "error" in world.endings["j"]:
                continue
            assert content(target) == WitnessFilter.seen[-1], seed
            succeeded += 1
            options = {"sync": "bitmap", "bitmap_mode": world.dice.choice(("on-success", "always", "never"))}
    await world.close()
    return succeeded


def test_backups_of_what_has_changed_add_up() -> None:
    succeeded = 0
    for seed in range(8):
        succeeded += asyncio.run(asyncio.wait_for(add_up(seed), 20))
    assert succeeded > 8, "the world is too rough for backups to succeed"


async def fleece(seed: int) -> bool:
    """Read the past and back it up under fire; say whether the backup succeeded."""
    world = World(seed)
    dice = world.dice
    await world.add("base")
    await world.fill("base")
    source = await world.add("source", backing="base")
    await world.fill("source")
    await world.add("temp", **({"backing": "source"} if dice.random() < 0.5 else {}))
    target = await world.add("target")
    world.model[:] = content(source)
    breaks_writes = dice.random() < 0.6
    await world.server.blockdev_add(
        {
            "driver": "copy-before-write",
            "node-name": "filter",
            "file": "source",
            "target": "temp",
            "on-cbw-error": "break-guest-write" if breaks_writes else "break-snapshot",
            "cbw-timeout": dice.choice((0, 0, 1)),
        }
    )
    past = WitnessFilter.seen[0]
    assert past == world.model
    discards = dice.random() < 0.5
    await world.server.blockdev_add(
        {"driver": "snapshot-access", "node-name": "access", "file": "filter", "discard": "unmap"}
    )
    async with (
        world.server.backend("filter", writable=True) as backend,
        world.server.backend("access") as access,
    ):
        for step in range(STEPS):
            world.begin(world.guest(backend))
            world.begin(read_past(world, access, past, may_be_gone=discards or not breaks_writes))
            if step == STEPS // 4:
                world.begin(
                    world.execute(
                        "blockdev-backup",
                        job_id="j",
                        device="access",
                        target="target",
                        sync="full",
                        on_source_error="report",
                        discard_source=discards,
                    )
                )
            if dice.random() < 0.1:
                disturb(world, ("temp",))
            await world.pass_time()
        await world.finish()
        ended = "error" not in world.endings["j"]
        found = bytearray(SIZE)
        await backend.pread(0, memoryview(found))
        assert found == world.model, seed
    if ended:
        assert content(target) == past, seed
    await world.close()
    return ended


async def read_past(world: World, access: Any, past: bytes, *, may_be_gone: bool) -> None:
    offset = world.dice.randrange(SIZE)
    found = bytearray(min(world.dice.choice((1, CLUSTER, 2 * COPIED)), SIZE - offset))
    try:
        await access.pread(offset, memoryview(found))
    except OSError as error:
        if error.errno != errno.EIO and not (error.errno == errno.EACCES and may_be_gone):
            raise
    else:
        assert found == past[offset : offset + len(found)]


def test_what_a_fleecing_client_reads_is_the_past() -> None:
    succeeded = 0
    for seed in range(12):
        succeeded += asyncio.run(asyncio.wait_for(fleece(seed), 20))
    assert succeeded > 3, "the world is too rough for any backup to succeed"


def test_a_backup_that_succeeds_is_the_source_at_its_start() -> None:
    succeeded = 0
    for seed in range(15):
        succeeded += asyncio.run(asyncio.wait_for(back_up(seed), 20))
    assert succeeded > 3, "the world is too rough for any backup to succeed"
