"""Decide whether writes that the page cache takes at once really are taken at once.

A write into the page cache is a copy of some microseconds, unless the kernel makes the writer wait: for a page to
be read, for a journal, or because too much is dirty already.  Nobody can tell beforehand, so it is measured.
"""

from typing import Final

from qmpserver.units import NS_PER_SECOND

FAIR_NS: Final = 200_000
"""What a write may take time and again."""

MOST_NS: Final = 40_000_000
"""What writes may take beyond that before the next ones are kept off the event loop."""

SHORTEST_NS: Final = NS_PER_SECOND // 2
LONGEST_NS: Final = 8 * NS_PER_SECOND
"""For how long they are; longer each time the first writes afterwards are slow again."""


class Stalls:
    """A bucket that slow writes fill and all writes drain.

    A single long wait makes it overflow, and so do many that are a little slow; that another process had the
    processor for a moment does not.
    """

    __slots__ = ("_end_ns", "_level_ns", "_pause_ns")

    def __init__(self) -> None:
        self._level_ns = 0
        self._pause_ns = 0
        self._end_ns = 0

    def is_over(self, now_ns: int) -> bool:
        """Say whether nothing is known against the next write."""
        return now_ns >= self._end_ns

    def note(self, began_ns: int, now_ns: int) -> None:
        """Take note of a write that began and ended at these times."""
        level = self._level_ns + now_ns - began_ns - FAIR_NS
        if level < MOST_NS:
            self._level_ns = max(level, 0)
            return
        self._level_ns = 0
        was_long_ago = now_ns - self._end_ns > 8 * self._pause_ns
        longer = 0 if was_long_ago else min(2 * self._pause_ns, LONGEST_NS)
        self._pause_ns = max(longer, SHORTEST_NS)
        self._end_ns = now_ns + self._pause_ns
