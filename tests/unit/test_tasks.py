"""Coroutines that are run without a task until they wait."""

import asyncio
from typing import Any

import pytest

from qmpserver import tasks


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
