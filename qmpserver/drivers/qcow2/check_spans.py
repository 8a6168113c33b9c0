"""Split an L2 table into stretches that can be handled at once.

A table is looked at as a whole first; only where it is neither empty nor one run are its halves looked at, and
single entries at the very end.
"""

from array import array
from collections.abc import Iterator
from typing import NamedTuple

from qmpserver.drivers.qcow2.entries import ENTRY_SIZE
from qmpserver.drivers.qcow2.ramps import Ramps

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
        self._ramps = Ramps(cluster_size)

    def spans(self, entries: "array[int]") -> Iterator[Span]:
        """Return the stretches of a table in order, less those that are unallocated."""
        return self._split(entries, 0, len(entries))

    def _split(self, entries: "array[int]", start: int, count: int) -> Iterator[Span]:
        first, end = entries[start], start + count
        if not first and not entries[end - 1] and entries[start:end].tobytes() == bytes(count * ENTRY_SIZE):
            return
        if first & self._allocated and not first & self._mask and self._ramps.is_ramp(entries, start, count):
            yield Span(start, end, is_run=True)
        elif count <= _FEWEST:
            yield Span(start, end, is_run=False)
        else:
            half = count // 2
            yield from self._split(entries, start, half)
            yield from self._split(entries, start + half, count - half)
