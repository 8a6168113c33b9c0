"""A chain in memory, a guest that uses it, and jobs that mirror or commit it, on drivers that take their time."""

import asyncio
import random
from collections import defaultdict
from typing import Any

from qmpserver.block import chain
from qmpserver.block.backend import BlockBackend
from qmpserver.clock import ManualClock
from qmpserver.driver_api.permissions import PERM_ALL, Permission, PermissionSet
from qmpserver.events import Event, EventBus
from qmpserver.jobs.commit import CommitJob, CommitPlan
from qmpserver.jobs.error_policy import OnError
from qmpserver.jobs.job import Job
from qmpserver.jobs.manager import JobManager
from qmpserver.jobs.mirror import ActiveCommitJob, MirrorJob
from qmpserver.jobs.mirror_plan import MirrorPlan, MirrorSync
from qmpserver.units import NS_PER_MS
from tests.unit.block import troubled_drivers
from tests.unit.block.conftest import Engine
from tests.unit.block.troubled_drivers import SlowFile, SlowFormat, _Reopening

CLUSTER = 4096
CLUSTERS = 40
SIZE = CLUSTER * CLUSTERS
_SLOW = troubled_drivers.__name__
DRIVERS = {
    "file": f"{__name__}:ReopeningFile",
    "raw": f"{__name__}:GrowingFormat",
    "copy-on-read": f"{_SLOW}:SlowFilter",
    "mirror_top": "qmpserver.drivers.mirror_top:MirrorTopDriver",
    "commit_top": "qmpserver.drivers.commit_top:CommitTopDriver",
}


class ReopeningFile(_Reopening, SlowFile):
    """A file that can be made writable while it is open."""


class GrowingFormat(SlowFormat):
    """A format whose size can be set."""

    async def truncate(self, size: int, preallocation: Any = None) -> None:
        # What is new reads as zeroes, whatever the backing node has there.
        for index in range(self._size // CLUSTER, size // CLUSTER):
            self.table[index] = None
        self._size = size


class Guest:
    """Uses a node as a device would, and knows what it must find there."""

    def __init__(self, backend: BlockBackend, dice: random.Random, model: bytes) -> None:
        self.backend = backend
        self._dice = dice
        self._locks = defaultdict[int, asyncio.Lock](asyncio.Lock)
        self.model = bytearray(model)

    async def use(self, times: int) -> None:
        """Read, write, zero and discard somewhere, one after the other."""
        for _ in range(times):
            await self._act()
            await asyncio.sleep(0)

    async def _act(self) -> None:
        dice, index = self._dice, self._dice.randrange(CLUSTERS)
        offset = index * CLUSTER + dice.choice((0, dice.randrange(CLUSTER - 1)))
        length = dice.randrange(1, (index + 1) * CLUSTER - offset + 1)
        if dice.random() < 0.3:
            offset, length = index * CLUSTER, CLUSTER
        async with self._locks[index]:
            match dice.randrange(5):
                case 0:
                    found = bytearray(length)
                    await self.backend.pread(offset, memoryview(found))
                    assert found == self.model[offset : offset + length]
                case 1:
                    await self.backend.pwrite_zeroes(offset, length)
                    self.model[offset : offset + length] = bytes(length)
                case 2:
                    await self.backend.pdiscard(offset, length)
                    found = bytearray(length)
                    await self.backend.pread(offset, memoryview(found))
                    self.model[offset : offset + length] = found
                case _:
                    data = dice.randbytes(length)
                    await self.backend.pwrite(offset, memoryview(data))
                    self.model[offset : offset + length] = data


class MirrorBench:
    """Nodes over memory, a guest on the topmost, and the events that jobs cause.

    Args:
        seed: Decides everything that is left to chance.
    """

    def __init__(self, seed: int = 0) -> None:
        self.dice = random.Random(seed)
        SlowFile.random = random.Random(seed)
        self.engine = Engine(DRIVERS)
        self.graph = self.engine.graph
        self.clock = ManualClock()
        events = EventBus(self.clock)
        self.seen: list[Event] = []
        events.subscribe(self.seen.append)
        self.jobs = JobManager(events, self.clock)

    async def make_chain(self, *sizes: int) -> list[Any]:
        """Make nodes n0 (lowest), n1, ...; each with data of its own here and there."""
        nodes: list[Any] = []
        for index, size in enumerate(sizes):
            backing = {"backing": f"n{index - 1}"} if index else {}
            nodes.append(
                await self.engine.add(f"n{index}", f"f{index}", size=size, discard="unmap", **backing)
            )
            await self.scribble(nodes[-1])
        return nodes

    async def scribble(self, node: Any) -> None:
        """Write and zero some clusters."""
        for index in self.dice.sample(range(node.size // CLUSTER), node.size // CLUSTER // 2):
            if self.dice.random() < 0.2:
                await node.pwrite_zeroes(index * CLUSTER, CLUSTER)
            else:
                await node.pwrite(index * CLUSTER, memoryview(self.dice.randbytes(CLUSTER)))

    def let_host_copy(self) -> None:
        """Have the files' host copy by itself from now on."""
        for node in self.graph:
            if isinstance(node.driver, SlowFile):
                node.driver.copies = []

    async def make_guest(self, node: Any) -> Guest:
        """Put a guest on a node."""
        backend = BlockBackend(self.graph, "guest")
        used = Permission.CONSISTENT_READ | Permission.WRITE
        await backend.insert(node, PermissionSet(used, PERM_ALL))
        return Guest(backend, self.dice, await content(node))

    async def mirror(self, source: Any, target: Any, **options: Any) -> MirrorJob:
        """Start a mirror; what the plan does not know, the job does."""
        known = MirrorPlan.__dataclass_fields__
        planned = {name: options.pop(name) for name in list(options) if name in known}
        plan = MirrorPlan(source, target, **{"sync": MirrorSync.FULL, "granularity": CLUSTER, **planned})
        job = MirrorJob(self.jobs, self.graph, "j", plan, **{"on_error": OnError.REPORT, **options})
        await self._start(job)
        return job

    async def commit(self, top: Any, base: Any, **options: Any) -> Any:
        """Start a commit of `top` into `base`: an active one if nothing stands over `top`."""
        above_base = next(node for node in chain.nodes(top) if node.backing is base)
        job: Any
        options = {"on_error": OnError.REPORT, **options}
        if any(edge.name == "backing" for edge in top.parents):
            plan = CommitPlan(top, top, base, above_base)
            job = CommitJob(self.jobs, self.graph, "j", plan, **options)
        else:
            active = MirrorPlan(top, base, MirrorSync.TOP, CLUSTER, above_base, is_commit=True)
            job = ActiveCommitJob(self.jobs, self.graph, "j", active, **options)
        await self._start(job)
        return job

    async def _start(self, job: Any) -> None:
        async with self.graph.lock:
            await job.set_up(self.engine.opener, 0)
        await self.jobs.start(job)

    async def until(self, job: Job, *states: str) -> None:
        """Let time pass until the job is in one of the states."""
        while job.status.value not in states:
            await self.tick()

    async def tick(self) -> None:
        """Let a little time pass."""
        for _ in range(10):
            await asyncio.sleep(0)
        self.clock.advance(100 * NS_PER_MS)

    def story(self) -> list[str]:
        """Return the events in short: a status, or the name without its prefix."""
        return [
            event.data["status"]
            if event.data and event.name == "JOB_STATUS_CHANGE"
            else event.name.removeprefix("BLOCK_JOB_")
            for event in self.seen
        ]


async def content(node: Any) -> bytes:
    """Return all that a node shows."""
    buffer = bytearray(node.size)
    await node.pread(0, memoryview(buffer))
    return bytes(buffer)
