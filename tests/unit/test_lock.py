"""A lock that needs an event loop only where two meet."""

import asyncio

import pytest

from qmpserver import tasks
from qmpserver.lock import Lock


def test_whoever_is_alone_takes_and_leaves_it_without_an_event_loop() -> None:
    lock = Lock()

    async def alone() -> bool:
        async with lock:
            return lock.locked()

    assert tasks.step(alone())
    assert not lock.locked()


def test_those_who_wait_get_it_in_the_order_they_came() -> None:
    async def scenario() -> None:
        lock = Lock()
        order: list[int] = []

        async def worker(number: int) -> None:
            async with lock:
                order.append(number)
                await asyncio.sleep(0)
                assert order[-1] == number

        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(worker(number))
        assert order == [0, 1, 2, 3, 4]
        assert not lock.locked()

    asyncio.run(scenario())


def test_nobody_who_comes_later_takes_what_was_handed_on() -> None:
    async def scenario() -> None:
        lock = Lock()
        await lock.acquire()
        waiting = asyncio.create_task(lock.acquire())
        await asyncio.sleep(0)
        lock.release()
        late = asyncio.create_task(lock.acquire())
        await waiting
        assert not late.done()
        lock.release()
        await late

    asyncio.run(scenario())


@pytest.mark.parametrize("was_handed_on", [False, True])
def test_one_that_is_cancelled_while_waiting_is_passed_over(was_handed_on: bool) -> None:
    async def scenario() -> None:
        lock = Lock()
        await lock.acquire()
        cancelled = asyncio.create_task(lock.acquire())
        next_one = asyncio.create_task(lock.acquire())
        await asyncio.sleep(0)
        if was_handed_on:
            lock.release()
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        if not was_handed_on:
            lock.release()
        await next_one
        lock.release()
        assert not lock.locked()

    asyncio.run(scenario())


def test_what_nobody_holds_is_not_released() -> None:
    with pytest.raises(RuntimeError):
        Lock().release()
