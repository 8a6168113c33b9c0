"""Keep long work to a number of bytes a second, as ``-r`` asks."""

from qmpserver.clock import Clock
from qmpserver.units import NS_PER_SECOND, SECTOR_SIZE, align_down

_STEPS = 10
"""In so many steps a second the work goes on."""


class Rate:
    """Lets work go on as fast as it may.

    Args:
        clock: What the time is told by; it runs from the first work on.
        limit_bps: The most bytes a second, or 0.
    """

    def __init__(self, clock: Clock, limit_bps: int) -> None:
        self._clock = clock
        self._limit_bps = limit_bps
        self._began_ns: int | None = None
        self._admitted = 0

    def at_once(self, most: int) -> int:
        """Return how many bytes to move at once, `most` at most."""
        if not self._limit_bps:
            return most
        return min(most, max(align_down(self._limit_bps // _STEPS, SECTOR_SIZE), SECTOR_SIZE))

    async def admit(self, length: int) -> None:
        """Wait until so many bytes more may be moved."""
        if not self._limit_bps:
            return
        now = self._clock.monotonic_ns()
        if self._began_ns is None:
            self._began_ns = now
        due = self._began_ns + self._admitted * NS_PER_SECOND // self._limit_bps
        self._admitted += length
        if due > now:
            await self._clock.sleep(due - now)
