"""Work out how long a job must rest to keep to its speed."""

from qmpserver.units import NS_PER_MS, NS_PER_SECOND

SLICE_NS = 100 * NS_PER_MS
"""A job may use up its quota of one slice at once; what exceeds it is paid for in whole slices."""


class SpeedLimit:
    """The speed of one job.  Time comes in as an argument, in nanoseconds."""

    def __init__(self) -> None:
        self._quota = 0
        self._slice_start_ns = 0
        self._slice_end_ns = 0
        self._dispatched = 0

    def set_speed(self, speed_bps: int) -> None:
        """Set the speed in bytes per second, not negative; 0 is no limit."""
        self._quota = max(speed_bps * SLICE_NS // NS_PER_SECOND, 1) if speed_bps else 0

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit at all."""
        return self._quota > 0

    def account(self, length: int, now_ns: int) -> int:
        """Count `length` bytes as moved now.

        Returns:
            Nanoseconds to rest before more is moved.
        """
        if not self._quota:
            return 0
        if self._slice_end_ns < now_ns:
            self._slice_start_ns, self._slice_end_ns = now_ns, now_ns + SLICE_NS
            self._dispatched = 0
        self._dispatched += length
        if self._dispatched < self._quota:
            return 0
        slices = -(-self._dispatched // self._quota)
        self._slice_end_ns = self._slice_start_ns + slices * SLICE_NS
        return max(self._slice_end_ns - now_ns, 0)
