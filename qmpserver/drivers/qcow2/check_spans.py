"""Split an L2 table into stretches that can be handled at once.

A table is compared with what it would be as a whole, by arithmetic on numbers as long as the table; only
where that fails are its halves looked at, and single entries at the very end.
"""

from array import array
from collections.abc import Iterator
from typing import NamedTuple

from qmpserver.drivers.qcow2.entries import ENTRY_SIZE

_FEWEST = 32
"""Stretches are not divided below so many entries."""


class Span(NamedTuple):
    """A stretch of entries.

    Attributes:
        start: The first entry.
        end: The first entry after.
        is_run: They are allocated side by side in order, with the same flags; else they are mixed.
    """

    start: int
    end: int
    is_run: bool


class SpanFinder:
    """Finds the stretches in tables of one image.

    Args:
        cluster_size: The image's cluster size.
        plain_mask: The bits that are all zero in an entry that is allocated plainly.
        allocated_mask: The bits of which at least one is set in an entry that is allocated.
    """

    def __init__(self, cluster_size: int, plain_mask: int, allocated_mask: int) -> None:
        self._size = cluster_size
        self._mask = plain_mask
        self._allocated = allocated_mask
        self._patterns: dict[int, tuple[int, int]] = {}

    def spans(self, data: bytes | bytearray, entries: "array[int]") -> Iterator[Span]:
        """Return the stretches of a table in order, less those that are unallocated.

        Args:
            data: The entries as on disk; made from `entries` when empty.
            entries: The same as numbers.
        """
        if not data:
            swapped = array("Q", entries)
            swapped.byteswap()
            data = swapped.tobytes()
        return self._split(bytes(data), entries, 0, len(entries))

    def _split(self, data: bytes, entries: "array[int]", start: int, count: int) -> Iterator[Span]:
        first, end = entries[start], start + count
        last = entries[end - 1]
        part = data[start * ENTRY_SIZE : end * ENTRY_SIZE]
        if not first and not last and part == bytes(len(part)):
            return
        if (
            first & self._allocated
            and not first & self._mask
            and last == first + (count - 1) * self._size
            and self._is_run(part, first, count)
        ):
            yield Span(start, end, is_run=True)
        elif count <= _FEWEST:
            yield Span(start, end, is_run=False)
        else:
            half = count // 2
            yield from self._split(data, entries, start, half)
            yield from self._split(data, entries, start + half, count - half)

    def _is_run(self, part: bytes, first: int, count: int) -> bool:
        pattern = self._patterns.get(count)
        if pattern is None:
            ramp = array("Q", range(0, count * self._size, self._size))
            ramp.byteswap()
            ones = (1).to_bytes(ENTRY_SIZE, "big") * count
            pattern = int.from_bytes(ones, "big"), int.from_bytes(ramp.tobytes(), "big")
            self._patterns[count] = pattern
        return int.from_bytes(part, "big") == pattern[0] * first + pattern[1]
