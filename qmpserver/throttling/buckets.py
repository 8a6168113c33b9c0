"""Work out how long a request has to wait, with leaky buckets.

What passes is poured into buckets that leak at the rate allowed.  A request must wait until none of
its buckets holds more than its size; so it may itself overfill one, and those after it pay for that.
"""

import enum

from qmpserver.throttling.limits import Rate, ThrottleLimits
from qmpserver.units import NS_PER_SECOND

QUIET_BURST_S = 0.1
"""Without a burst rate, a bucket holds what may pass in so many seconds."""


class Direction(enum.Enum):
    """Which way a request goes; zeroes and discards count as writes."""

    READ = "read"
    WRITE = "write"


class Bucket:
    """One leaky bucket.

    Args:
        rate: What leaks out of it.

    Attributes:
        level: Units in it.
        burst_level: Units in the second bucket that keeps long bursts to their own rate.
    """

    __slots__ = ("_rate", "burst_level", "level")

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self.level = 0.0
        self.burst_level = 0.0

    @property
    def size(self) -> float:
        """The units it can hold before requests have to wait."""
        rate = self._rate
        return rate.max * rate.max_length if rate.max else rate.avg * QUIET_BURST_S

    @property
    def has_long_bursts(self) -> bool:
        """Whether a burst may last longer than a second."""
        return self._rate.max_length > 1

    def leak(self, duration_ns: int) -> None:
        """Let time pass."""
        seconds = duration_ns / NS_PER_SECOND
        self.level = max(self.level - self._rate.avg * seconds, 0.0)
        if self.has_long_bursts:
            self.burst_level = max(self.burst_level - self._rate.max * seconds, 0.0)

    def fill(self, units: float) -> None:
        """Pour in what passes."""
        if self._rate.avg:
            self.level += units
            if self.has_long_bursts:
                self.burst_level += units

    def wait_ns(self) -> int:
        """Return how long it takes until it holds no more than its size."""
        rate = self._rate
        if not rate.avg:
            return 0
        wait = _time_to_leak_ns(self.level - self.size, rate.avg)
        if self.has_long_bursts:
            wait = max(wait, _time_to_leak_ns(self.burst_level - rate.max * QUIET_BURST_S, rate.max))
        return wait


def _time_to_leak_ns(units: float, rate: int) -> int:
    # Rounded up, so that whoever waits as long finds room and does not wait for nothing again.
    return -int(-units * NS_PER_SECOND // rate) if units > 0 else 0


class Buckets:
    """The six buckets of one set of limits.

    Args:
        limits: How fast they leak.
        now_ns: The present time.
    """

    def __init__(self, limits: ThrottleLimits, now_ns: int) -> None:
        self._iops_size = limits.iops_size
        self._leaked_ns = now_ns
        bps_total, iops_total = Bucket(limits.bps_total), Bucket(limits.iops_total)
        self._bytes = {
            Direction.READ: (bps_total, Bucket(limits.bps_read)),
            Direction.WRITE: (bps_total, Bucket(limits.bps_write)),
        }
        self._requests = {
            Direction.READ: (iops_total, Bucket(limits.iops_read)),
            Direction.WRITE: (iops_total, Bucket(limits.iops_write)),
        }
        self._all = [
            bps_total,
            iops_total,
            *(buckets[direction][1] for buckets in (self._bytes, self._requests) for direction in Direction),
        ]

    def wait_ns(self, direction: Direction, now_ns: int) -> int:
        """Return how long the next request of a direction has to wait; 0 when it may go."""
        duration_ns = now_ns - self._leaked_ns
        if duration_ns > 0:
            self._leaked_ns = now_ns
            for bucket in self._all:
                bucket.leak(duration_ns)
        return max(bucket.wait_ns() for bucket in (*self._bytes[direction], *self._requests[direction]))

    def account(self, direction: Direction, length: int) -> None:
        """Count a request of `length` bytes that passes now."""
        for bucket in self._bytes[direction]:
            bucket.fill(length)
        is_large = 0 < self._iops_size < length
        for bucket in self._requests[direction]:
            bucket.fill(length / self._iops_size if is_large else 1.0)
