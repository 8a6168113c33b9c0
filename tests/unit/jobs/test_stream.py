"""A stream copies what it must, answers errors as told, and ends with graph and image in agreement."""

import asyncio
import errno
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from qmpserver.clock import ManualClock
from qmpserver.errors import QMPError
from qmpserver.events import Event, EventBus
from qmpserver.jobs.error_policy import OnError
from qmpserver.jobs.manager import JobManager
from qmpserver.jobs.states import JobStatus
from qmpserver.jobs.stream import StreamJob, StreamPlan
from qmpserver.units import NS_PER_SECOND, MiB
from tests.unit.block.conftest import Engine
from tests.unit.block.memory_drivers import FILES, MemoryFormat

SIZE = 4 * MiB


class Bench:
    """A base and a top over memory, and the events jobs on them cause."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.clock = ManualClock()
        events = EventBus(self.clock)
        self.seen: list[Event] = []
        events.subscribe(self.seen.append)
        self.jobs = JobManager(events, self.clock)

    async def make_chain(self, *sizes: int) -> list[Any]:
        """Make nodes n0 (lowest), n1, ...; each full of its own digit."""
        nodes: list[Any] = []
        for index, size in enumerate(sizes):
            backing = {"backing": f"n{index - 1}"} if index else {}
            node = await self.engine.add(f"n{index}", f"f{index}", size=size, **backing)
            if index < len(sizes) - 1:
                await node.pwrite(0, memoryview(b"%d" % index * size))
            nodes.append(node)
        return nodes

    async def start(
        self,
        top: Any,
        bottom: Any,
        *,
        job_id: str = "j",
        speed_bps: int = 0,
        on_error: OnError = OnError.REPORT,
        **options: Any,
    ) -> StreamJob:
        plan = StreamPlan(top, bottom, bottom)
        job = StreamJob(self.jobs, self.engine.graph, job_id, plan, on_error=on_error, **options)
        async with self.engine.graph.lock:
            await job.set_up(self.engine.opener, speed_bps)
        await self.jobs.start(job)
        return job

    def story(self) -> list[str]:
        """Return the events in short: a status, or the name without its prefix."""
        return [
            event.data["status"]
            if event.data and event.name == "JOB_STATUS_CHANGE"
            else event.name.removeprefix("BLOCK_JOB_")
            for event in self.seen
        ]


Scenario = Callable[[Bench], Coroutine[Any, Any, None]]


@pytest.fixture
def play() -> Iterator[Callable[[Scenario], None]]:
    """Run a scenario on a fresh bench."""

    def run(scenario: Scenario) -> None:
        async def main() -> None:
            await asyncio.wait_for(scenario(Bench()), 30)

        asyncio.run(main())

    FILES.clear()
    MemoryFormat.images.clear()
    yield run
    FILES.clear()
    MemoryFormat.images.clear()


async def content(node: Any) -> bytes:
    buffer = bytearray(node.size)
    await node.pread(0, memoryview(buffer))
    return bytes(buffer)


SUCCESS = ["created", "running", "waiting", "pending", "COMPLETED", "concluded", "null"]


def test_a_stream_copies_everything_and_leaves_the_node_alone(play: Callable[[Scenario], None]) -> None:
    async def scenario(bench: Bench) -> None:
        base, middle, top = await bench.make_chain(SIZE, SIZE // 2, SIZE)
        await top.pwrite(5000, memoryview(b"T" * 100))
        expected = await content(top)
        job = await bench.start(top, base)
        await job.ended.wait()
        assert bench.story() == SUCCESS
        assert bench.seen[4].data == {
            "type": "stream",
            "device": "j",
            "len": SIZE,
            "offset": SIZE,
            "speed": 0,
        }
        assert top.backing is None
        assert top.driver.backing is None
        assert [node.node_name for node in bench.engine.graph][-1] == "n2"
        base.driver.table.clear()
        middle.driver.table.clear()
        assert await content(top) == expected

    play(scenario)


def test_a_stream_down_to_a_base_copies_only_what_lies_above_it(play: Callable[[Scenario], None]) -> None:
    async def scenario(bench: Bench) -> None:
        base, middle, top = await bench.make_chain(SIZE, SIZE, SIZE)
        middle.driver.table = {index: host for index, host in middle.driver.table.items() if index < 10}
        expected = await content(top)
        job = await bench.start(top, middle)
        await job.ended.wait()
        assert sorted(top.driver.table) == list(range(10))
        assert top.backing is base
        assert await content(top) == expected

    play(scenario)


def test_a_layer_shorter_than_the_base_keeps_hiding_what_it_hid(play: Callable[[Scenario], None]) -> None:
    async def scenario(bench: Bench) -> None:
        _, middle, top = await bench.make_chain(SIZE, 8192, SIZE)
        expected = await content(top)
        assert expected == b"1" * 8192 + bytes(SIZE - 8192)
        job = await bench.start(top, middle)
        await job.ended.wait()
        assert await content(top) == expected

    play(scenario)


def test_a_stream_with_nothing_below_is_over_at_once(play: Callable[[Scenario], None]) -> None:
    async def scenario(bench: Bench) -> None:
        (top,) = await bench.make_chain(SIZE)
        await bench.start(top, top)
        assert bench.story() == SUCCESS

    play(scenario)


def test_reading_through_the_filter_copies_before_the_job_gets_there(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(bench: Bench) -> None:
        base, top = await bench.make_chain(SIZE, SIZE)
        job = await bench.start(top, base, speed_bps=1)
        while not job.is_at_rest:
            await asyncio.sleep(0)
        over_top = next(node for node in bench.engine.graph if node.filtered is top)
        last = SIZE // 4096 - 1
        assert last not in top.driver.table
        await over_top.pread(SIZE - 10, memoryview(bytearray(10)))
        assert last in top.driver.table
        await job.cancel()
        assert bench.story()[-4:] == ["aborting", "CANCELLED", "concluded", "null"]
        assert top.backing is base

    play(scenario)


def test_a_rest_ends_when_the_clock_says_so_and_a_new_speed_ends_it_at_once(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(bench: Bench) -> None:
        base, top = await bench.make_chain(SIZE, SIZE)
        job = await bench.start(top, base, speed_bps=MiB)
        while not job.is_at_rest:
            await asyncio.sleep(0)
        first = job.progress_current
        assert 0 < first < SIZE
        bench.clock.advance(NS_PER_SECOND)
        while job.progress_current == first or not job.is_at_rest:
            await asyncio.sleep(0)
        assert job.progress_current < SIZE
        job.set_speed(0)
        await job.ended.wait()
        assert bench.story() == SUCCESS

    play(scenario)


def test_a_paused_job_is_told_paused_and_goes_on_when_resumed(play: Callable[[Scenario], None]) -> None:
    async def scenario(bench: Bench) -> None:
        base, top = await bench.make_chain(SIZE, SIZE)
        job = await bench.start(top, base, speed_bps=MiB)
        while not job.is_at_rest:
            await asyncio.sleep(0)
        job.user_pause()
        await job.react()
        assert job.status is JobStatus.PAUSED
        with pytest.raises(QMPError, match="Job is already paused"):
            job.user_pause()
        job.user_resume()
        await job.react()
        assert job.status.value == "running"
        with pytest.raises(QMPError, match="Can't resume a job that was not paused"):
            job.user_resume()
        job.set_speed(0)
        await job.ended.wait()
        assert bench.story() == ["created", "running", "paused", *SUCCESS[1:]]

    play(scenario)


def test_a_refused_speed_leaves_no_job_no_filter_and_no_reservation(play: Callable[[Scenario], None]) -> None:
    async def scenario(bench: Bench) -> None:
        base, top = await bench.make_chain(SIZE, SIZE)
        names = [node.node_name for node in bench.engine.graph]
        with pytest.raises(QMPError, match="Parameter 'speed' expects a non-negative value"):
            await bench.start(top, base, speed_bps=-1)
        assert bench.story() == ["created", "null"]
        assert [node.node_name for node in bench.engine.graph] == names
        assert not top.busy_reasons
        assert not top.parents
        assert not list(bench.jobs)

    play(scenario)


@pytest.mark.parametrize(
    ("policy", "story", "ends_with_error"),
    [
        (OnError.REPORT, ["ERROR", "aborting", "COMPLETED", "concluded", "null"], True),
        (OnError.IGNORE, ["ERROR", "aborting", "COMPLETED", "concluded", "null"], True),
        (OnError.ENOSPC, ["ERROR", "aborting", "COMPLETED", "concluded", "null"], True),
        (OnError.STOP, ["ERROR", "paused", *SUCCESS[1:]], False),
    ],
)
def test_a_read_error_is_answered_as_the_policy_says(
    play: Callable[[Scenario], None], policy: OnError, story: list[str], ends_with_error: bool
) -> None:
    async def scenario(bench: Bench) -> None:
        base, top = await bench.make_chain(SIZE, SIZE)
        expected = await content(top)
        file: Any = bench.engine.graph.find("n0-file").driver
        file.fail_reads_at = {base.driver.table[700]}
        job = await bench.start(top, base, on_error=policy)
        if policy is OnError.STOP:
            while job.status is not JobStatus.PAUSED:
                await asyncio.sleep(0)
            assert job.to_wire()["io-status"] == "failed"
            file.fail_reads_at = set()
            job.user_resume()
            assert job.to_wire()["io-status"] == "ok"
        await job.ended.wait()
        assert bench.story() == ["created", "running", *story]
        error = next(event for event in bench.seen if event.name == "BLOCK_JOB_ERROR")
        action = {"enospc": "report"}.get(policy.value, policy.value)
        assert error.data == {"device": "j", "operation": "read", "action": action}
        completed = next(event for event in bench.seen if event.name == "BLOCK_JOB_COMPLETED")
        assert completed.data is not None
        assert completed.data.get("error") == ("Input/output error" if ends_with_error else None)
        assert (top.backing is base) == ends_with_error
        if not ends_with_error:
            assert completed.data["offset"] == SIZE
        file.fail_reads_at = set()
        assert await content(top) == expected

    play(scenario)


def test_lack_of_space_stops_the_job_until_there_is_room(play: Callable[[Scenario], None]) -> None:
    async def scenario(bench: Bench) -> None:
        base, top = await bench.make_chain(SIZE, SIZE)
        file: Any = bench.engine.graph.find("n1-file").driver
        file.fail_writes = errno.ENOSPC
        job = await bench.start(top, base, on_error=OnError.ENOSPC)
        while job.status is not JobStatus.PAUSED:
            await asyncio.sleep(0)
        assert job.to_wire()["io-status"] == "nospace"
        assert bench.story() == ["created", "running", "ERROR", "paused"]
        file.fail_writes = None
        job.user_resume()
        await job.ended.wait()
        assert bench.story()[-5:] == SUCCESS[-5:]
        assert await content(top) == b"0" * SIZE

    play(scenario)


def test_without_auto_finalize_the_graph_changes_only_when_finalized(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(bench: Bench) -> None:
        base, top = await bench.make_chain(SIZE, SIZE)
        job = await bench.start(top, base, auto_finalize=False, auto_dismiss=False)
        while job.status is not JobStatus.PENDING:
            await asyncio.sleep(0)
        assert bench.story() == ["created", "running", "waiting", "pending", "PENDING"]
        assert top.backing is base
        await bench.jobs.finalize(job)
        assert top.backing is None
        assert top.busy_reasons == ["block device is in use by block job: stream"]
        await bench.jobs.dismiss(job)
        assert not top.busy_reasons
        assert not list(bench.jobs)

    play(scenario)


def test_cancelling_a_pending_job_takes_its_result_back(play: Callable[[Scenario], None]) -> None:
    async def scenario(bench: Bench) -> None:
        base, top = await bench.make_chain(SIZE, SIZE)
        job = await bench.start(top, base, auto_finalize=False)
        while job.status is not JobStatus.PENDING:
            await asyncio.sleep(0)
        await job.cancel()
        assert bench.story()[-4:] == ["aborting", "CANCELLED", "concluded", "null"]
        assert job.error == "Operation canceled"
        assert top.backing is base

    play(scenario)


def test_closing_down_cancels_every_job(play: Callable[[Scenario], None]) -> None:
    async def scenario(bench: Bench) -> None:
        base, top = await bench.make_chain(SIZE, SIZE)
        await bench.start(top, base, speed_bps=1, auto_dismiss=False)
        await bench.jobs.cancel_all()
        assert not list(bench.jobs)
        assert not top.busy_reasons

    play(scenario)


def test_others_get_their_turn_while_a_job_finds_nothing_to_copy(play: Callable[[Scenario], None]) -> None:
    async def scenario(bench: Bench) -> None:
        base, top = await bench.make_chain(SIZE, SIZE)
        base.driver.table.clear()
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        job = await bench.start(top, base)
        await job.ended.wait()
        task.cancel()
        assert turns > SIZE // 4096 // 2

    play(scenario)
