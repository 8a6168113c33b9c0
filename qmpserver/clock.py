"""Tell the time and wait for it, on the machine's clock or on one that a test turns by hand."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from typing import Protocol

from qmpserver.tasks import need_loop
from qmpserver.units import NS_PER_SECOND


class Timer(Protocol):
    """A call that has been put off and may be called off."""

    def cancel(self) -> None:
        """Call it off; harmless when it has already run."""


class Clock(Protocol):
    """Where time comes from.  All durations are nanoseconds."""

    def monotonic_ns(self) -> int:
        """Return a time that never goes back; only differences mean anything."""

    def realtime_us(self) -> int:
        """Return microseconds since the epoch, for time stamps."""

    def call_later(self, delay_ns: int, callback: Callable[[], object]) -> Timer:
        """Call `callback` once after `delay_ns` on the running event loop."""

    async def sleep(self, delay_ns: int) -> None:
        """Wait for `delay_ns`; a cancelled wait ends at once."""


class SystemClock:
    """The machine's own clock."""

    def monotonic_ns(self) -> int:
        """Return the kernel's monotonic time."""
        return time.monotonic_ns()

    def realtime_us(self) -> int:
        """Return the kernel's wall-clock time."""
        return time.time_ns() // 1000

    def call_later(self, delay_ns: int, callback: Callable[[], object]) -> Timer:
        """Call `callback` from the running event loop after `delay_ns`."""
        return asyncio.get_running_loop().call_later(delay_ns / NS_PER_SECOND, callback)

    async def sleep(self, delay_ns: int) -> None:
        """Wait for `delay_ns` of real time."""
        await need_loop()
        await asyncio.sleep(delay_ns / NS_PER_SECOND)


class _ManualTimer:
    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], object] | None) -> None:
        self.callback = callback

    def cancel(self) -> None:
        self.callback = None


class ManualClock:
    """A clock that stands still until :meth:`advance` turns it.

    Args:
        realtime_us: Wall-clock microseconds that the time stamps begin with.
    """

    def __init__(self, realtime_us: int = 1_000_000_000_000_000) -> None:
        self._now_ns = 0
        self._realtime_us = realtime_us
        self._order = itertools.count()
        self._timers: list[tuple[int, int, _ManualTimer]] = []

    def monotonic_ns(self) -> int:
        """Return the nanoseconds this clock has been advanced so far."""
        return self._now_ns

    def realtime_us(self) -> int:
        """Return the starting wall-clock time plus what has been advanced."""
        return self._realtime_us + self._now_ns // 1000

    def call_later(self, delay_ns: int, callback: Callable[[], object]) -> Timer:
        """Call `callback` when the clock has been advanced by `delay_ns`."""
        timer = _ManualTimer(callback)
        heapq.heappush(self._timers, (self._now_ns + max(delay_ns, 0), next(self._order), timer))
        return timer

    async def sleep(self, delay_ns: int) -> None:
        """Wait until the clock has been advanced by `delay_ns`."""
        future = asyncio.get_running_loop().create_future()

        def wake() -> None:
            # The sleeper may have been cancelled in the same turn, by what else fell due.
            if not future.done():
                future.set_result(None)

        timer = self.call_later(delay_ns, wake)
        try:
            await future
        finally:
            timer.cancel()

    @property
    def next_ns(self) -> int | None:
        """The time when the next timer falls due, or None when none is waiting."""
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def advance(self, delta_ns: int) -> None:
        """Move time on, running every timer that falls due, in order of its time."""
        target = self._now_ns + delta_ns
        while self._timers and self._timers[0][0] <= target:
            due_ns, _, timer = heapq.heappop(self._timers)
            self._now_ns = due_ns
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()
        self._now_ns = target


class SteppedClock(ManualClock):
    """A clock that stands still until a client turns it, while events tell the time of the host."""

    def realtime_us(self) -> int:
        """Return the kernel's wall-clock time."""
        return time.time_ns() // 1000

    async def advance_to(self, time_ns: int) -> None:
        """Move time on, timer by timer, and let whom each one wakes go on before the next.

        Args:
            time_ns: Until when; what is past already changes nothing.
        """
        while (next_ns := self.next_ns) is not None and next_ns <= time_ns:
            self.advance(next_ns - self.monotonic_ns())
            await asyncio.sleep(0)
        self.advance(max(time_ns - self.monotonic_ns(), 0))
