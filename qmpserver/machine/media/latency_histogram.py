"""Count requests by how long they took."""

from bisect import bisect_right
from collections.abc import Sequence


class LatencyHistogram:
    """Requests counted in bins of latency.

    Args:
        boundaries: Nanoseconds at which a new bin begins, in rising order.

    Raises:
        ValueError: There are none, they do not rise, or do not begin above 0.
    """

    def __init__(self, boundaries: Sequence[int]) -> None:
        if not boundaries or any(
            high <= low for low, high in zip((0, *boundaries), boundaries, strict=False)
        ):
            raise ValueError("boundaries do not rise")
        self._boundaries = tuple(boundaries)
        self._bins = [0] * (len(boundaries) + 1)

    def account(self, latency_ns: int) -> None:
        """Count a request."""
        self._bins[bisect_right(self._boundaries, latency_ns)] += 1

    def to_wire(self) -> dict[str, list[int]]:
        """Shape it as ``BlockLatencyHistogramInfo``."""
        return {"boundaries": list(self._boundaries), "bins": list(self._bins)}
