"""Tell, for a stretch of table entries as a whole, whether each is greater than the one before by the same step.

A stretch is compared with what it would be, by arithmetic on numbers as long as the stretch.
"""

import sys
from array import array


class Ramps:
    """Knows what stretches of every length look like.

    Args:
        step: How much each entry is greater than the one before.
    """

    def __init__(self, step: int) -> None:
        self._step = step
        self._patterns: dict[int, tuple[int, int]] = {}

    def is_ramp(self, part: bytes | bytearray, first: int, count: int) -> bool:
        """Say whether `part` is a ramp.

        Args:
            part: The entries, as the array of them has them in memory.
            first: The first of them.
            count: How many they are.
        """
        pattern = self._patterns.get(count)
        if pattern is None:
            ramp = array("Q", range(0, count * self._step, self._step))
            ones = array("Q", [1]) * count
            pattern = _number(ones.tobytes()), _number(ramp.tobytes())
            self._patterns[count] = pattern
        return _number(part) == pattern[0] * first + pattern[1]


def _number(part: bytes | bytearray) -> int:
    return int.from_bytes(part, sys.byteorder)
