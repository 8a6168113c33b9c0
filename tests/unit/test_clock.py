"""A clock that is turned by hand, and the machine's own."""

import asyncio
import functools
import time

import pytest

from qmpserver.clock import ManualClock, SystemClock


def test_calls_are_made_in_order_of_their_time_and_see_that_time() -> None:
    clock = ManualClock()
    calls: list[tuple[str, int]] = []

    def note(name: str) -> None:
        calls.append((name, clock.monotonic_ns()))

    for name, delay_ns in (("c", 30), ("a", 10), ("b", 10), ("late", 31)):
        clock.call_later(delay_ns, functools.partial(note, name))
    clock.advance(30)
    assert calls == [("a", 10), ("b", 10), ("c", 30)]
    assert clock.monotonic_ns() == 30


def test_a_call_that_was_called_off_is_not_made() -> None:
    clock = ManualClock()
    timer = clock.call_later(10, pytest.fail)
    timer.cancel()
    clock.advance(10)
    timer.cancel()


def test_a_call_may_ask_for_another_within_the_same_advance() -> None:
    clock = ManualClock()
    calls: list[int] = []
    clock.call_later(5, lambda: clock.call_later(5, lambda: calls.append(clock.monotonic_ns())))
    clock.advance(10)
    assert calls == [10]


def test_wall_clock_time_moves_along() -> None:
    clock = ManualClock(realtime_us=1_000)
    clock.advance(7_999)
    assert clock.realtime_us() == 1_007


def test_a_sleeper_wakes_when_its_time_has_come_and_not_before() -> None:
    async def main() -> None:
        clock = ManualClock()
        sleeper = asyncio.create_task(clock.sleep(100))
        await asyncio.sleep(0)
        clock.advance(99)
        await asyncio.sleep(0)
        assert not sleeper.done()
        clock.advance(1)
        await sleeper

    asyncio.run(main())


def test_a_cancelled_sleeper_ends_at_once() -> None:
    async def main() -> None:
        clock = ManualClock()
        sleeper = asyncio.create_task(clock.sleep(100))
        await asyncio.sleep(0)
        sleeper.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sleeper
        clock.advance(100)

    asyncio.run(main())


def test_the_machines_clock_goes_forward_and_calls() -> None:
    async def main() -> None:
        clock = SystemClock()
        start_ns = clock.monotonic_ns()
        called = asyncio.Event()
        clock.call_later(1_000_000, called.set)
        await called.wait()
        await clock.sleep(1)
        assert clock.monotonic_ns() - start_ns >= 1_000_000
        assert abs(clock.realtime_us() - time.time() * 1e6) < 60e6

    asyncio.run(main())
