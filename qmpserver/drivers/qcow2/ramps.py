"""Tell, for a stretch of table entries as a whole, whether each is greater than the one before by the same step.

A ramp as long as the stretch is laid out in memory and compared with it.  It is laid out byte by byte of an entry: the
first byte of all entries, then the second of all, and so on, since each goes through few values in a simple order.
"""

import functools
import sys
from array import array
from typing import Final

_ENTRY: Final = 8
_MOST_REPEATED: Final = 8
"""Bytes that stay the same for at most 2 to this power of entries are cut from what is known of them."""


class Ramps:
    """Lays out ramps, each in the place of the one before, whose bytes may be the same in part.

    Args:
        step: How much each entry is greater than the one before, a power of two.
    """

    def __init__(self, step: int) -> None:
        self._step = step
        self._step_bits = step.bit_length() - 1
        self._ramp = bytearray()
        self._columns: list[int | bytes] = []
        """For each byte of an entry, from the lowest, what it is in the entries of the ramp; a number where all agree."""

    def is_ramp(self, entries: "array[int]", start: int, count: int) -> bool:
        """Say whether `count` entries, at least one, from `start` on are a ramp."""
        first, last = entries[start], entries[start + count - 1]
        if last != first + (count - 1) * self._step:
            return False
        self._lay_out(first, last, count)
        with memoryview(entries) as view:
            return self._ramp == view[start : start + count]

    def _lay_out(self, first: int, last: int, count: int) -> None:
        if count * _ENTRY != len(self._ramp):
            self._ramp, self._columns = bytearray(count * _ENTRY), [0] * _ENTRY
        for place in range(_ENTRY):
            bit = place * 8
            agree = bit + 8 <= self._step_bits or first >> bit == last >> bit
            column = first >> bit & 0xFF if agree else self._column(first, bit, count)
            if column != self._columns[place]:
                self._columns[place] = column
                stored = column if isinstance(column, bytes) else bytes((column,)) * count
                self._ramp[place if sys.byteorder == "little" else 7 - place :: _ENTRY] = stored

    def _column(self, first: int, bit: int, count: int) -> bytes:
        """Return the byte that begins at a bit, of all entries of a ramp in which it is raised."""
        repeated = bit - self._step_bits
        if repeated <= 0:
            value = first >> bit & 0xFF
            cycle = _EVERY_BYTE_TWICE[value : value + 256 : 1 << -repeated]
            return (cycle * (count // len(cycle) + 1))[:count]
        index = first >> self._step_bits
        if repeated > _MOST_REPEATED:
            return _stairs(index, repeated, count)
        cycle = _all_stairs(repeated)
        start = index % len(cycle)
        if start + count > len(cycle):
            cycle *= (start + count) // len(cycle) + 1
        return cycle[start : start + count]


_EVERY_BYTE_TWICE: Final = bytes(range(256)) * 2


def _stairs(index: int, repeated: int, count: int) -> bytes:
    """Return the byte that begins at the bit `repeated`, of so many numbers in a row from `index` on."""
    parts: list[bytes] = []
    while count:
        length = min((1 << repeated) - (index & ((1 << repeated) - 1)), count)
        parts.append(bytes((index >> repeated & 0xFF,)) * length)
        index += length
        count -= length
    return b"".join(parts)


@functools.cache
def _all_stairs(repeated: int) -> bytes:
    return _stairs(0, repeated, 256 << repeated)
