import asyncio
import threading
from functools import partial

import pytest

from qmpserver.threads import Helper, Lane, ThreadPool, run


def test_a_call_returns_its_result_from_another_thread() -> None:
    async def main() -> None:
        assert await run(threading.get_ident) != threading.get_ident()
        assert await run(divmod, 7, 2) == (3, 1)

    asyncio.run(main())


def test_an_error_is_raised_where_the_call_is_awaited() -> None:
    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await run(divmod, 1, 0)

    asyncio.run(main())


def test_a_cancelled_task_ends_only_after_its_call_has() -> None:
    started, release = threading.Event(), threading.Event()
    ended: list[str] = []

    def block() -> None:
        started.set()
        release.wait()
        ended.append("call")

    async def work() -> None:
        try:
            await run(block)
        finally:
            ended.append("task")

    async def main() -> None:
        task = asyncio.create_task(work())
        await run(started.wait)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert ended == ["call", "task"]


def test_calls_beyond_the_limit_wait_for_a_thread() -> None:
    pool = ThreadPool(limit=2)
    names: set[str] = set()

    def note() -> None:
        names.add(threading.current_thread().name)

    async def main() -> None:
        await asyncio.gather(*(pool.run(note) for _ in range(50)))

    asyncio.run(main())
    assert len(names) <= 2


def test_a_stuck_call_does_not_hold_up_others() -> None:
    pool = ThreadPool()
    release = threading.Event()

    async def main() -> None:
        stuck = pool.submit(release.wait)
        assert await pool.run(int, "7") == 7
        assert not stuck.done()
        release.set()
        assert await stuck

    asyncio.run(main())


def test_the_pool_serves_one_event_loop_after_another() -> None:
    pool = ThreadPool(limit=1)
    for number in range(3):
        assert asyncio.run(pool.run(abs, -number)) == number


def test_a_pool_that_lost_its_threads_starts_new_ones() -> None:
    pool = ThreadPool(limit=1)
    assert asyncio.run(pool.run(abs, -1)) == 1
    pool.forget_threads()
    assert asyncio.run(pool.run(abs, -2)) == 2


def test_calls_in_a_lane_are_made_one_at_a_time_and_in_order() -> None:
    pool = ThreadPool()
    order: list[int] = []
    busy = threading.Lock()

    def call(number: int) -> int:
        assert busy.acquire(blocking=False)
        order.append(number)
        busy.release()
        if number == 3:
            raise ZeroDivisionError
        return number

    async def main() -> None:
        lane = Lane(pool)
        outcomes = await asyncio.gather(
            *(lane.run(call, number) for number in range(50)), return_exceptions=True
        )
        assert isinstance(outcomes.pop(3), ZeroDivisionError)
        assert outcomes == [number for number in range(50) if number != 3]
        assert await lane.run(call, 50) == 50

    asyncio.run(main())
    assert order == list(range(51))


def test_a_lane_takes_one_thread_whatever_waits_in_it() -> None:
    pool = ThreadPool(limit=2)
    release = threading.Event()

    async def main() -> None:
        lane = Lane(pool)
        held = [asyncio.create_task(lane.run(release.wait)) for _ in range(5)]
        await asyncio.sleep(0)
        assert await pool.run(divmod, 7, 2) == (3, 1)
        release.set()
        await asyncio.gather(*held)

    asyncio.run(main())


def test_two_calls_are_made_side_by_side_and_both_are_waited_for() -> None:
    helper = Helper()
    both = threading.Barrier(2, timeout=10)
    assert helper.both(lambda: both.wait() >= 0, lambda: both.wait() < 2) == (True, True)
    ended: list[str] = []

    def end(where: str, *, fails: bool) -> None:
        ended.append(where)
        if fails:
            raise OSError(28, f"full {where}")

    for here, there in ((True, False), (False, True), (True, True)):
        ended.clear()
        with pytest.raises(OSError, match="full here" if here else "full there"):
            helper.both(partial(end, "here", fails=here), partial(end, "there", fails=there))
        assert sorted(ended) == ["here", "there"]
    assert helper.both(lambda: 1, lambda: 2) == (1, 2)
