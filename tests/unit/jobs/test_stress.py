"""Jobs under fire: any verb at any instant, while guests read and write and disks fail now and then."""

import asyncio
import errno
import itertools
import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from qmpserver.clock import ManualClock
from qmpserver.errors import QMPError
from qmpserver.events import Event
from qmpserver.jobs.states import TRANSITIONS, JobStatus
from qmpserver.server import Server
from qmpserver.units import NS_PER_MS, KiB
from tests.unit.block import troubled_drivers
from tests.unit.block.memory_drivers import FILES, MemoryFormat
from tests.unit.block.troubled_drivers import TROUBLE, SlowFile

CLUSTER = 4096
CLUSTERS = 48
SIZE = CLUSTER * CLUSTERS
LAYERS = 4
CHAINS = 2
STEPS = 120


@pytest.fixture
def slow_drivers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have servers work on memory."""
    name = troubled_drivers.__name__
    drivers = {"file": "SlowFile", "raw": "SlowFormat", "copy-on-read": "SlowFilter"}
    monkeypatch.setattr(
        "qmpserver.engine.DRIVERS", {key: f"{name}:{value}" for key, value in drivers.items()}
    )
    FILES.clear()
    MemoryFormat.images.clear()
    TROUBLE.calm()
    yield
    TROUBLE.calm()
    FILES.clear()
    MemoryFormat.images.clear()


class _Guest:
    """Reads and writes the top of a chain, and knows what it must find."""

    def __init__(self, server: Server, name: str, dice: random.Random) -> None:
        self._server = server
        self._name = name
        self._dice = dice
        self._locks = defaultdict[int, asyncio.Lock](asyncio.Lock)
        self.model = bytearray(SIZE)

    async def use(self, backend: Any) -> None:
        """Do one thing somewhere; disks may fail, but what is read is right."""
        dice, index = self._dice, self._dice.randrange(CLUSTERS)
        offset = index * CLUSTER + dice.randrange(CLUSTER - 1)
        length = dice.randrange(1, (index + 1) * CLUSTER - offset + 1)
        async with self._locks[index]:
            try:
                if dice.random() < 0.4:
                    data = dice.randbytes(length) if dice.random() < 0.8 else bytes(length)
                    await backend.pwrite(offset, memoryview(data))
                    self.model[offset : offset + length] = data
                else:
                    found = bytearray(length)
                    await backend.pread(offset, memoryview(found))
                    assert found == self.model[offset : offset + length], (self._name, offset, length)
            except OSError as error:
                if error.errno not in {errno.EIO, errno.ENOSPC}:
                    raise


class _Stress:
    """A server in trouble.

    Args:
        seed: Decides everything.
    """

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        SlowFile.random = random.Random(seed)
        self.clock = ManualClock()
        self.server = Server(clock=self.clock)
        self.events: list[Event] = []
        self.server.daemon.events.subscribe(self.events.append)
        self.tasks: set[asyncio.Task[Any]] = set()
        self.errors: list[BaseException] = []
        self.read_only: set[str] = set()
        self._jobs = 0

    # The world

    async def make_chain(self, chain: int) -> _Guest:
        """Open a chain of layers with something in each, and return its guest."""
        guest = _Guest(self.server, f"c{chain}n{LAYERS - 1}", self.dice)
        for layer in range(LAYERS):
            name = f"c{chain}n{layer}"
            FILES[name] = bytearray()
            size = SIZE if layer in {0, LAYERS - 1} else self.dice.choice((SIZE, SIZE // 2 + 512))
            file = {"driver": "file", "filename": name, "node-name": f"{name}-file"}
            backing = {"backing": f"c{chain}n{layer - 1}"} if layer else {}
            await self.server.blockdev_add(
                {"driver": "raw", "node-name": name, "size": size, "file": file, **backing}
            )
            await self._fill(name, size, guest)
        for layer in range(LAYERS - 1):
            if self.dice.random() < 0.5:
                self._make_read_only(f"c{chain}n{layer}")
        return guest

    def _make_read_only(self, name: str) -> None:
        """Have a node as if it had been opened read-only; a stream into it makes it writable for a while."""
        for part in (name, f"{name}-file"):
            self.server.daemon.graph.find(part).flags.read_only = True
            self.read_only.add(part)

    async def _fill(self, name: str, size: int, guest: _Guest) -> None:
        guest.model[size:] = bytes(SIZE - size)
        async with self.server.backend(name, writable=True) as backend:
            for index in range(CLUSTERS):
                offset = index * CLUSTER
                if offset + CLUSTER <= size and self.dice.random() < 0.4:
                    data = self.dice.randbytes(CLUSTER)
                    await backend.pwrite(offset, memoryview(data))
                    guest.model[offset : offset + CLUSTER] = data

    # What happens

    def begin(self, work: Any) -> None:
        """Let something go on beside everything else."""
        task = asyncio.ensure_future(self._watch(work))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _watch(self, work: Any) -> None:
        try:
            await work
        except QMPError:
            pass
        except BaseException as error:
            self.errors.append(error)
            raise

    def command(self) -> tuple[str, dict[str, Any]]:
        """Return any command with any arguments."""
        dice = self.dice
        commands: list[tuple[str, dict[str, Any]]]
        job = f"j{dice.randrange(max(self._jobs - 4, 0), self._jobs + 1)}"
        chain = dice.randrange(CHAINS)
        if dice.random() < 0.25:
            return "block-stream", self._stream(chain)
        commands = [
            ("job-pause", {"id": job}),
            ("job-resume", {"id": job}),
            ("job-resume", {"id": job}),
            ("job-cancel", {"id": job}),
            ("job-finalize", {"id": job}),
            ("job-finalize", {"id": job}),
            ("job-dismiss", {"id": job}),
            ("job-complete", {"id": job}),
            ("block-job-set-speed", {"device": job, "speed": dice.choice((0, 0, 1, 64 * KiB, -1))}),
            ("block-job-cancel", {"device": job, "force": dice.random() < 0.5}),
            ("query-block-jobs", {}),
            ("query-jobs", {}),
            ("query-named-block-nodes", {"flat": True}),
            ("blockdev-del", {"node-name": f"c{chain}n{dice.randrange(LAYERS)}"}),
        ]
        return dice.choice(commands)

    def _stream(self, chain: int) -> dict[str, Any]:
        dice = self.dice
        self._jobs += 1
        arguments: dict[str, Any] = {
            "job-id": f"j{self._jobs}",
            "device": f"c{chain}n{dice.choice((1, 2, 3, 3))}",
            "speed": dice.choice((0, 0, 1, 64 * KiB)),
            "on-error": dice.choice(("report", "stop", "ignore", "enospc")),
            "auto-finalize": dice.random() < 0.6,
            "auto-dismiss": dice.random() < 0.6,
        }
        below = f"c{chain}n{dice.randrange(LAYERS)}"
        return arguments | dice.choice([{}, {}, {"bottom": below}, {"base-node": below}])

    def disturb(self) -> None:
        """Break a disk, or mend all."""
        files: list[Any] = [
            node.driver for node in self.server.daemon.graph if isinstance(node.driver, SlowFile)
        ]
        if self.dice.random() < 0.5:
            self.mend()
            return
        file = self.dice.choice(files)
        if self.dice.random() < 0.5:
            file.fail_reads_at = {self.dice.randrange(1, 8) * CLUSTER}
        else:
            file.fail_writes = self.dice.choice((errno.ENOSPC, errno.EIO))

    def mend(self) -> None:
        """Let every disk work."""
        TROUBLE.calm()
        for node in self.server.daemon.graph:
            if isinstance(node.driver, SlowFile):
                node.driver.fail_reads_at = set()
                node.driver.fail_writes = None

    async def pass_time(self) -> None:
        """Let some turns of the loop pass, and some of the clock."""
        for _ in range(self.dice.choice((0, 1, 1, 2, 3, 10, 30))):
            await asyncio.sleep(0)
        if self.dice.random() < 0.5:
            self.clock.advance(self.dice.choice((1, 100, 1000)) * NS_PER_MS)

    async def settle(self) -> None:
        """Wait for everything that goes on beside."""
        while self.tasks:
            await asyncio.wait(self.tasks)

    # What must be so at the end

    def assert_histories(self) -> None:
        """Every job went through its life by the rows of the table, and told its end in its place."""
        stories = defaultdict[str, list[str]](list)
        for event in self.events:
            data = event.data or {}
            job = data.get("id") or data.get("device")
            status = event.name == "JOB_STATUS_CHANGE"
            stories[str(job)].append(str(data["status"]) if status else event.name)
        for job, story in stories.items():
            states = [JobStatus(item) for item in story if item.islower()]
            assert states[0] is JobStatus.CREATED, (job, story)
            assert states[-1] is JobStatus.NULL, (job, story)
            for old, new in itertools.pairwise(states):
                assert new in TRANSITIONS[old], (job, story)
            if JobStatus.CONCLUDED in states:
                last = story[story.index("concluded") - 1]
                assert last in {"BLOCK_JOB_COMPLETED", "BLOCK_JOB_CANCELLED"}, (job, story)

    def assert_quiet(self) -> None:
        """No job has left anything behind."""
        assert not self.errors
        assert not list(self.server.daemon.jobs)
        assert not self.server.daemon.graph.lock.locked()
        for node in self.server.daemon.graph:
            assert not node.driver.is_filter, node
            assert not node.busy_reasons, node
            assert node.read_only == (node.node_name in self.read_only), node
            assert not len(node.requests), node
            assert not any(edge.is_frozen for edge in node.children.values()), node
            assert node.parents or node.is_monitor_owned, node


async def _run(seed: int) -> int:
    stress = _Stress(seed)
    guests = [await stress.make_chain(chain) for chain in range(CHAINS)]
    drivers = [node.driver for node in stress.server.daemon.graph]
    async with (
        stress.server.backend(f"c0n{LAYERS - 1}", writable=True) as first,
        stress.server.backend(f"c1n{LAYERS - 1}", writable=True) as second,
    ):
        for _ in range(STEPS):
            choice = stress.dice.random()
            if choice < 0.45:
                chain = stress.dice.randrange(CHAINS)
                stress.begin(guests[chain].use((first, second)[chain]))
            elif choice < 0.9:
                stress.begin(stress.server.execute(*stress.command()))
            elif choice < 0.97:
                stress.disturb()
            else:
                TROUBLE.arm(0, OSError(errno.ENOSPC, "no room"))
            await stress.pass_time()
        stress.mend()
        await stress.settle()
        await stress.server.daemon.jobs.cancel_all()
        stress.assert_quiet()
        for guest, backend in zip(guests, (first, second), strict=True):
            found = bytearray(SIZE)
            await backend.pread(0, memoryview(found))
            assert found == guest.model
    stress.assert_histories()
    await stress.server.close()
    assert not list(stress.server.daemon.graph)
    assert all(driver.closed for driver in drivers)  # type: ignore[attr-defined]
    return sum(event.name == "BLOCK_JOB_COMPLETED" for event in stress.events)


@pytest.mark.usefixtures("slow_drivers")
def test_whatever_happens_to_jobs_data_and_graph_stay_whole() -> None:
    completed = 0
    for seed in range(25):
        FILES.clear()
        MemoryFormat.images.clear()
        TROUBLE.calm()
        unhandled: list[Any] = []

        async def main(seed: int = seed, unhandled: list[Any] = unhandled) -> int:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
            async with asyncio.timeout(20):
                return await _run(seed)

        completed += asyncio.run(main())
        assert not unhandled, seed
    assert completed > 25, "the scripts are too rough for any job to succeed"
