"""Hold back events that repeat too fast.

The first of a kind passes at once and opens an interval; of those that come within it only the last
is kept, and passes when the interval ends, which opens another.  A kind is an event's name, or its
name with the value of one member (the node, the device) where the schema names one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qmpserver.events import Event
from qmpserver.units import NS_PER_MS

RateLimits = Mapping[str, tuple[int, str | None]]
"""By event name: the interval in milliseconds, and the member that tells kinds apart, if any."""


@dataclass(slots=True)
class _Interval:
    """Time in which one event of a kind has passed, and the latest of those that came after it."""

    ends_ns: int
    length_ns: int
    held_back: Event | None = None


class RateLimiter:
    """Decide when events pass.  All times are nanoseconds of one monotonic clock.

    Args:
        limits: Which events are limited, and how.
    """

    def __init__(self, limits: RateLimits) -> None:
        self._limits = limits
        self._intervals: dict[tuple[str, Any], _Interval] = {}

    def admit(self, event: Event, now_ns: int) -> bool:
        """Say whether the event may pass now; if not, it is kept until :meth:`expire`."""
        limit = self._limits.get(event.name)
        if limit is None:
            return True
        length_ms, key = limit
        kind = (event.name, (event.data or {}).get(key) if key else None)
        interval = self._intervals.get(kind)
        if interval is not None:
            interval.held_back = event
            return False
        length_ns = length_ms * NS_PER_MS
        self._intervals[kind] = _Interval(now_ns + length_ns, length_ns)
        return True

    def expire(self, now_ns: int) -> list[Event]:
        """Return the events whose interval has ended, in the order of the ends."""
        ended = [
            (interval.ends_ns, kind)
            for kind, interval in self._intervals.items()
            if interval.ends_ns <= now_ns
        ]
        passed = []
        for _, kind in sorted(ended, key=lambda entry: entry[0]):
            interval = self._intervals[kind]
            if interval.held_back is None:
                del self._intervals[kind]
                continue
            passed.append(interval.held_back)
            interval.held_back = None
            interval.ends_ns = now_ns + interval.length_ns
        return passed

    @property
    def next_end_ns(self) -> int | None:
        """When to call :meth:`expire` next, or None while no interval is open."""
        return min((interval.ends_ns for interval in self._intervals.values()), default=None)
