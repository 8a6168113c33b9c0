"""Average what happened within the last while, without remembering each value.

Two windows, each as long as the period and half a period apart, take in every value; the answer comes
from the older one, so it speaks of between a half and a whole period.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class _Window:
    expires_ns: int
    count: int = 0
    total: int = 0
    low: int = 0
    high: int = 0

    def add(self, value: int) -> None:
        self.low = value if not self.count else min(self.low, value)
        self.high = max(self.high, value)
        self.total += value
        self.count += 1


class TimedAverage:
    """The least, the largest and the mean of the values of the last while.

    Args:
        period_ns: How long the while is.
        now_ns: The present time.
    """

    def __init__(self, period_ns: int, now_ns: int) -> None:
        self._period_ns = period_ns
        self._windows = [_Window(now_ns + period_ns // 2), _Window(now_ns + period_ns)]

    def account(self, value: int, now_ns: int) -> None:
        """Take in a value."""
        self._older(now_ns)
        for window in self._windows:
            window.add(value)

    def low(self, now_ns: int) -> int:
        """Return the least value, 0 when there is none."""
        return self._older(now_ns).low

    def high(self, now_ns: int) -> int:
        """Return the largest value, 0 when there is none."""
        return self._older(now_ns).high

    def mean(self, now_ns: int) -> int:
        """Return the mean, 0 when there is no value."""
        window = self._older(now_ns)
        return window.total // window.count if window.count else 0

    def share(self, now_ns: int) -> float:
        """Return the sum of the values by the time they came in; of latencies it is how many were in flight."""
        window = self._older(now_ns)
        elapsed_ns = self._period_ns - (window.expires_ns - now_ns)
        return window.total / elapsed_ns if elapsed_ns > 0 else 0.0

    def _older(self, now_ns: int) -> _Window:
        """Begin windows anew that have expired, and return the one that began first."""
        for index, window in enumerate(self._windows):
            if window.expires_ns <= now_ns:
                late_ns = (now_ns - window.expires_ns) % self._period_ns
                self._windows[index] = _Window(now_ns + self._period_ns - late_ns)
        return min(self._windows, key=lambda window: window.expires_ns)
