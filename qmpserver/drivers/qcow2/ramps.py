"""Tell, for a stretch of table entries as a whole, whether each is greater than the one before by the same step.

A stretch is compared with the latest of its length that was a ramp, by arithmetic on numbers as long as the
stretch.  In an image that is in order each differs from the one before by the same.
"""

import functools
import sys
from array import array


class Ramps:
    """Knows a ramp of every length that was asked for.

    Args:
        step: How much each entry is greater than the one before.
    """

    def __init__(self, step: int) -> None:
        self._step = step
        self._known: dict[int, tuple[int, int]] = {}
        """For each length the first entry of a ramp, and the ramp."""

    def is_ramp(self, part: bytes | bytearray, first: int, count: int) -> bool:
        """Say whether `part` is a ramp.

        Args:
            part: The entries, as the array of them has them in memory.
            first: The first of them.
            count: How many they are.
        """
        known = self._known.get(count)
        if known is None:
            known = 0, _number(array("Q", range(0, count * self._step, self._step)))
        number = _number(part)
        if number - known[1] != _level(first - known[0], count):
            return False
        self._known[count] = first, number
        return True


# A map asks for seven lengths, table by table, and now and then a refcount block lies between two tables.
@functools.lru_cache(maxsize=16)
def _level(entry: int, count: int) -> int:
    """Return a stretch of nothing but `entry`, which may be negative."""
    level = _number(array("Q", [abs(entry)]) * count)
    return level if entry >= 0 else -level


def _number(part: "bytes | bytearray | array[int]") -> int:
    return int.from_bytes(part, sys.byteorder)
