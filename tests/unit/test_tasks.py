"""Coroutines that are run without a task, or an event loop, until they wait."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from qmpserver import tasks, threads


async def answer() -> int:
    return 42


async def raises() -> None:
    raise KeyError("x")


def test_a_coroutine_that_does_not_wait_is_run_to_its_end() -> None:
    assert tasks.step(answer()) == 42


def test_what_it_raises_before_it_waits_is_raised() -> None:
    with pytest.raises(KeyError):
        tasks.step(raises())


def suspend(coroutine: Any) -> Any:
    """Step a coroutine that must wait, and return the rest."""
    with pytest.raises(tasks.Pending) as pending:
        tasks.step(coroutine)
    return pending.value.rest


def test_one_that_waits_goes_on_where_it_was() -> None:
    async def main() -> None:
        gate = asyncio.Event()
        steps: list[str] = []

        async def waits() -> str:
            steps.append("begun")
            await gate.wait()
            await asyncio.sleep(0)
            steps.append("ended")
            return "result"

        rest = suspend(waits())
        assert steps == ["begun"]
        gate.set()
        assert await rest == "result"
        assert steps == ["begun", "ended"]

    asyncio.run(main())


def test_an_exception_of_what_it_waits_for_reaches_it() -> None:
    async def main() -> None:
        future = asyncio.get_running_loop().create_future()

        async def waits() -> str:
            try:
                await future
            except OSError:
                return "caught"
            return "not raised"

        rest = suspend(waits())
        future.set_exception(OSError())
        assert await rest == "caught"

    asyncio.run(main())


def test_cancelling_the_rest_cancels_the_coroutine_where_it_waits() -> None:
    async def main() -> None:
        cleaned: list[str] = []

        async def waits() -> None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                cleaned.append("up")

        group: set[asyncio.Task[Any]] = set()
        task = tasks.spawn(group, suspend(waits()))
        await asyncio.sleep(0)
        assert group == {task}
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert cleaned == ["up"]
        await asyncio.sleep(0)
        assert group == set()

    asyncio.run(main())


def has_loop() -> bool:
    """Say whether an event loop runs."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def test_a_tool_that_waits_for_nothing_is_run_without_an_event_loop() -> None:
    async def tool() -> tuple[bool, bool]:
        await tasks.pause()
        return tasks.is_without_loop(), has_loop()

    assert tasks.run(tool()) == (True, False)
    assert not tasks.is_without_loop()


def test_it_goes_on_with_one_from_where_it_needs_it() -> None:
    async def tool() -> list[bool]:
        seen = [has_loop()]
        await tasks.need_loop()
        seen.append(has_loop())
        await asyncio.sleep(0)
        await tasks.need_loop()
        return [*seen, tasks.is_without_loop()]

    assert tasks.run(tool()) == [False, True, False]


@pytest.mark.parametrize("needs_loop", [False, True])
def test_what_a_tool_raises_is_raised_either_way(needs_loop: bool) -> None:
    async def tool() -> None:
        if needs_loop:
            await tasks.need_loop()
        raise KeyError("x")

    with pytest.raises(KeyError):
        tasks.run(tool())
    assert not tasks.is_without_loop()


def test_blocking_calls_are_made_in_place_until_there_is_an_event_loop() -> None:
    async def tool() -> list[bool]:
        lane = threads.lane()
        calls = [await run(threading.current_thread) for run in (threads.run, lane.run)]
        await tasks.need_loop()
        calls += [await run(threading.current_thread) for run in (threads.run, lane.run)]
        return [thread is threading.main_thread() for thread in calls]

    assert tasks.run(tool()) == [True, True, False, False]


def test_where_an_event_loop_runs_anyway_nothing_changes() -> None:
    async def scenario() -> bool:
        await tasks.need_loop()
        await tasks.pause()
        return await threads.run(threading.current_thread) is threading.main_thread()

    assert not asyncio.run(scenario())


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Have Ctrl-C do what it does in a program, whatever other tests have made of it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_tool_that_writes_is_interrupted_where_it_pauses() -> None:
    steps: list[str] = []

    async def write() -> None:
        tasks.begin_writing()
        try:
            signal.raise_signal(signal.SIGINT)
            steps.append("written")
            await tasks.pause()
            steps.append("written more")
        finally:
            steps.append("closed")

    with pytest.raises(KeyboardInterrupt):
        tasks.run(write())
    assert steps == ["written", "closed"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_that_was_noted_cancels_what_then_wants_a_loop() -> None:
    steps: list[str] = []

    async def write() -> None:
        tasks.begin_writing()
        signal.raise_signal(signal.SIGINT)
        try:
            await tasks.need_loop()
            steps.append("with a loop")
            await asyncio.sleep(60)
        finally:
            # There is a loop for what has to be waited for.
            await asyncio.sleep(0)
            steps.append("closed")

    with pytest.raises(KeyboardInterrupt):
        tasks.run(write())
    assert steps == ["closed"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("interruptible")
def test_a_tool_that_only_reads_is_interrupted_anywhere() -> None:
    async def read() -> None:
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it went on")

    with pytest.raises(KeyboardInterrupt):
        tasks.run(read())


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_at_the_very_end_of_a_tool_s_work_changes_nothing() -> None:
    async def write() -> int:
        tasks.begin_writing()
        signal.raise_signal(signal.SIGINT)
        return 42

    assert tasks.run(write()) == 42
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_that_is_ignored_stays_so() -> None:
    async def write() -> int:
        tasks.begin_writing()
        signal.raise_signal(signal.SIGINT)
        await tasks.pause()
        return 42

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert tasks.run(write()) == 42
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
