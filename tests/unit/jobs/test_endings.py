"""A job ends once, whatever comes at the same time, and whatever its end runs into."""

import asyncio
import errno
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from qmpserver.errors import QMPError
from qmpserver.jobs.states import JobStatus
from qmpserver.jobs.transaction import JobTransaction
from tests.unit.block.conftest import DRIVERS, Engine
from tests.unit.block.memory_drivers import FILES, MemoryFormat
from tests.unit.jobs.test_stream import SIZE, SUCCESS, Bench, content

Scenario = Callable[[Bench], Coroutine[Any, Any, None]]


@pytest.fixture
def play() -> Iterator[Callable[[Scenario], None]]:
    """Run a scenario on a fresh bench; an error that nobody awaited fails the test."""

    def run(scenario: Scenario) -> None:
        async def main() -> None:
            unhandled: list[Any] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
            async with asyncio.timeout(10):
                await scenario(Bench())
            assert not unhandled

        asyncio.run(main())

    FILES.clear()
    MemoryFormat.images.clear()
    yield run
    FILES.clear()
    MemoryFormat.images.clear()


class _SlowChange:
    """Holds up the change of a node's backing file until told to go on, and may then have it fail."""

    def __init__(self, node: Any) -> None:
        self._change = node.driver.change_backing_file
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.error: BaseException | None = None
        self.calls = 0
        node.driver.change_backing_file = self

    async def __call__(self, filename: str | None, backing_format: str | None) -> None:
        self.calls += 1
        self.begun.set()
        await self.go_on.wait()
        if self.error is not None:
            raise self.error
        await self._change(filename, backing_format)


async def _until(job: Any, status: JobStatus) -> None:
    while job.status is not status:
        await asyncio.sleep(0)


def _assert_untouched(bench: Bench, *nodes: Any) -> None:
    assert not list(bench.jobs)
    assert not bench.engine.graph.lock.locked()
    for node in nodes:
        assert not node.busy_reasons
        assert not any(edge.is_frozen for edge in node.children.values())
        assert all(type(edge.parent).__name__ == "Node" for edge in node.parents)
    assert not [node for node in bench.engine.graph if node.driver.is_filter]


def test_a_job_that_is_being_finalized_is_neither_cancelled_nor_finalized_again(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(bench: Bench) -> None:
        base, top = await bench.make_chain(SIZE, SIZE)
        slow = _SlowChange(top)
        job = await bench.start(top, base, auto_finalize=False)
        await _until(job, JobStatus.PENDING)
        finalizing = asyncio.ensure_future(bench.jobs.finalize(job))
        await slow.begun.wait()
        with pytest.raises(QMPError, match="in state 'pending' cannot accept command verb 'finalize'"):
            await bench.jobs.finalize(job)
        with pytest.raises(QMPError, match="in state 'pending' cannot accept command verb 'cancel'"):
            await job.cancel()
        slow.go_on.set()
        await finalizing
        assert slow.calls == 1
        assert bench.story()[-3:] == ["COMPLETED", "concluded", "null"]
        assert top.backing is None
        _assert_untouched(bench, base, top)

    play(scenario)


def test_closing_down_waits_for_a_job_that_is_being_finalized(play: Callable[[Scenario], None]) -> None:
    async def scenario(bench: Bench) -> None:
        base, top = await bench.make_chain(SIZE, SIZE)
        slow = _SlowChange(top)
        job = await bench.start(top, base, auto_finalize=False, auto_dismiss=False)
        await _until(job, JobStatus.PENDING)
        finalizing = asyncio.ensure_future(bench.jobs.finalize(job))
        await slow.begun.wait()
        closing = asyncio.ensure_future(bench.jobs.cancel_all())
        for _ in range(10):
            await asyncio.sleep(0)
        slow.go_on.set()
        await asyncio.gather(finalizing, closing)
        assert bench.story()[-3:] == ["COMPLETED", "concluded", "null"]
        _assert_untouched(bench, base, top)

    play(scenario)


def test_a_job_that_ends_while_others_are_called_off_is_left_alone(play: Callable[[Scenario], None]) -> None:
    async def scenario(bench: Bench) -> None:
        nodes = await bench.make_chain(SIZE, SIZE)
        under = await bench.engine.add("m0", "g0", size=SIZE)
        over = await bench.engine.add("m1", "g1", size=SIZE, backing="m0")
        await under.pwrite(0, memoryview(b"u" * SIZE))
        first = await bench.start(nodes[1], nodes[0], speed_bps=1, job_id="a")
        second = await bench.start(over, under, speed_bps=1, job_id="b")
        for job in (first, second):
            while not job.is_at_rest:
                await asyncio.sleep(0)
        clean = first.clean

        async def end_other_first() -> None:
            second.set_speed(0)
            await second.ended.wait()
            await clean()

        first.clean = end_other_first  # type: ignore[method-assign]
        await bench.jobs.cancel_all()
        _assert_untouched(bench, *nodes, over)

    play(scenario)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "x"), QMPError("no"), RuntimeError("a mistake")])
def test_a_job_whose_result_cannot_stand_fails_and_lets_go(
    play: Callable[[Scenario], None], error: Exception
) -> None:
    async def scenario(bench: Bench) -> None:
        base, top = await bench.make_chain(SIZE, SIZE)
        expected = await content(top)
        slow = _SlowChange(top)
        slow.error = error
        slow.go_on.set()
        job = await bench.start(top, base)
        await job.ended.wait()
        while list(bench.jobs):
            await asyncio.sleep(0)
        assert bench.story()[-4:] == ["aborting", "COMPLETED", "concluded", "null"]
        assert job.error
        assert top.backing is base
        assert await content(top) == expected
        _assert_untouched(bench, base, top)

    play(scenario)


@pytest.mark.parametrize("error", [OSError(errno.EIO, "x"), QMPError("no"), RuntimeError("a mistake")])
def test_a_job_that_cannot_clean_up_is_over_all_the_same(
    play: Callable[[Scenario], None], error: Exception
) -> None:
    async def scenario(bench: Bench) -> None:
        base, top = await bench.make_chain(SIZE, SIZE)
        job = await bench.start(top, base)

        async def fail() -> None:
            raise error

        job._restore_read_only = fail  # type: ignore[method-assign]
        await job.ended.wait()
        while list(bench.jobs):
            await asyncio.sleep(0)
        assert bench.story() == SUCCESS
        _assert_untouched(bench, base, top)

    play(scenario)


def test_a_chunk_that_meets_a_programming_error_fails_the_job(play: Callable[[Scenario], None]) -> None:
    async def scenario(bench: Bench) -> None:
        base, top = await bench.make_chain(SIZE, SIZE)
        expected = await content(top)
        file: Any = bench.engine.graph.find("n0-file").driver
        read = file.pread

        async def read_wrongly(offset: int, into: memoryview, flags: int) -> None:
            if offset == base.driver.table[700]:
                raise IndexError(offset)
            await read(offset, into, flags)

        file.pread = read_wrongly
        job = await bench.start(top, base)
        await job.ended.wait()
        file.pread = read
        assert bench.story()[-4:] == ["aborting", "COMPLETED", "concluded", "null"]
        assert job.error == "Input/output error"
        assert top.backing is base
        assert await content(top) == expected

    play(scenario)


def test_a_member_that_fails_ends_the_others_of_its_transaction_when_their_work_has_ended(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(bench: Bench) -> None:
        base, top = await bench.make_chain(SIZE, SIZE)
        under = await bench.engine.add("m0", "g0", size=SIZE)
        over = await bench.engine.add("m1", "g1", size=SIZE, backing="m0")
        await under.pwrite(0, memoryview(b"u" * SIZE))
        transaction: JobTransaction[Any] = JobTransaction()
        file: Any = bench.engine.graph.find("m0-file").driver
        file.gate = asyncio.Event()
        slow = await bench.start(over, under, job_id="slow", transaction=transaction)
        broken: Any = bench.engine.graph.find("n0-file").driver
        broken.fail_reads_at = {base.driver.table[0]}
        failing = await bench.start(top, base, job_id="failing", transaction=transaction)
        while not failing.work_ended.is_set():
            await asyncio.sleep(0)
        assert slow.status is JobStatus.RUNNING
        file.gate.set()
        await failing.ended.wait()
        assert slow.ended.is_set()
        assert (slow.error, failing.error) == ("Operation canceled", "Input/output error")
        _assert_untouched(bench, base, top, under, over)

    play(scenario)


def test_a_read_on_its_way_through_the_filter_ends_before_the_nodes_it_looks_at_close(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(bench: Bench) -> None:
        real_filter = "qmpserver.drivers.copy_on_read:CopyOnReadDriver"
        bench.engine = Engine({**DRIVERS, "copy-on-read": real_filter})
        _, middle, top = await bench.make_chain(SIZE, SIZE, SIZE)
        middle.driver.table.clear()
        job = await bench.start(top, middle, auto_finalize=False)
        await _until(job, JobStatus.PENDING)
        over_top = next(node for node in bench.engine.graph if node.filtered is top)
        tables, begun, go_on = middle.driver.map, asyncio.Event(), asyncio.Event()

        async def map_slowly(offset: int, length: int) -> Any:
            begun.set()
            await go_on.wait()
            assert not middle.driver.closed
            return await tables(offset, length)

        middle.driver.map = map_slowly
        middle.is_monitor_owned = False
        found = memoryview(bytearray(2))
        reading = asyncio.ensure_future(over_top.pread(0, found))
        await begun.wait()
        finalizing = asyncio.ensure_future(bench.jobs.finalize(job))
        for _ in range(20):
            await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(reading, finalizing)
        assert bytes(found) == b"00"
        assert middle.driver.closed

    play(scenario)


def test_cancelling_does_not_wait_for_a_disk_that_does_not_answer_but_the_job_does(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(bench: Bench) -> None:
        base, top = await bench.make_chain(SIZE, SIZE)
        file: Any = bench.engine.graph.find("n0-file").driver
        file.gate = asyncio.Event()
        job = await bench.start(top, base)
        assert not job.is_at_rest
        async with asyncio.timeout(0.5):
            await job.cancel()
        closing = asyncio.ensure_future(bench.jobs.cancel_all())
        for _ in range(20):
            await asyncio.sleep(0)
        assert job.status is JobStatus.RUNNING
        assert not closing.done()
        assert not bench.engine.graph.lock.locked(), "other nodes can be opened meanwhile"
        file.gate.set()
        await closing
        assert bench.story()[-4:] == ["aborting", "CANCELLED", "concluded", "null"]
        _assert_untouched(bench, base, top)

    play(scenario)


def test_a_job_whose_start_is_refused_is_not_seen_half_way(play: Callable[[Scenario], None]) -> None:
    async def scenario(bench: Bench) -> None:
        base, top = await bench.make_chain(SIZE, SIZE)
        starting = asyncio.ensure_future(bench.start(top, base, speed_bps=-1))
        seen: set[str] = set()
        while not starting.done():
            seen |= {job.status.value for job in bench.jobs}
            await asyncio.sleep(0)
        with pytest.raises(QMPError, match="non-negative"):
            await starting
        assert not seen
        _assert_untouched(bench, base, top)

    play(scenario)


def test_closing_down_calls_off_what_begins_meanwhile(play: Callable[[Scenario], None]) -> None:
    async def scenario(bench: Bench) -> None:
        base, top = await bench.make_chain(SIZE, SIZE)
        under = await bench.engine.add("m0", "g0", size=SIZE)
        over = await bench.engine.add("m1", "g1", size=SIZE, backing="m0")
        await under.pwrite(0, memoryview(b"u" * SIZE))
        first = await bench.start(top, base, job_id="first", speed_bps=1)
        closing = asyncio.ensure_future(bench.jobs.cancel_all())
        await asyncio.sleep(0)
        second = await bench.start(over, under, job_id="second", speed_bps=1)
        async with asyncio.timeout(5):
            await closing
        assert first.ended.is_set()
        assert second.ended.is_set()
        _assert_untouched(bench, base, top, under, over)

    play(scenario)


def test_an_id_is_free_only_when_clients_have_heard_that_its_job_is_gone(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(bench: Bench) -> None:
        base, top = await bench.make_chain(SIZE, SIZE)
        job = await bench.start(top, base, job_id="j", auto_dismiss=False)
        await job.ended.wait()
        async with bench.engine.graph.lock:
            dismissing = asyncio.ensure_future(bench.jobs.dismiss(job))
            await asyncio.sleep(0)
            with pytest.raises(QMPError, match="Job not found"):
                bench.jobs.find("j")
            with pytest.raises(QMPError, match="already in use"):
                bench.jobs.check_new_id("j")
        await dismissing
        bench.jobs.check_new_id("j")

    play(scenario)


def test_an_error_is_answered_at_once_however_slow_the_job_is(play: Callable[[Scenario], None]) -> None:
    async def scenario(bench: Bench) -> None:
        base, top = await bench.make_chain(SIZE, SIZE)
        file: Any = bench.engine.graph.find("n0-file").driver
        file.fail_reads_at = {base.driver.table[0]}
        job = await bench.start(top, base, speed_bps=1)
        async with asyncio.timeout(5):
            await job.ended.wait()
        assert job.error == "Input/output error"
        _assert_untouched(bench, base, top)

    play(scenario)
