"""Know which parts of a target are zero already, so that they need not be made so."""

from qmpserver.block.dirty_bitmap import DirtyBitmap
from qmpserver.units import align_down, align_up


class ZeroMap:
    """What is known to be zero, in whole units.

    Args:
        size: Bytes of the target.
        unit: Bytes of a unit, a power of two; the last may be shorter.
    """

    def __init__(self, size: int, unit: int) -> None:
        self._size = size
        self._unit = unit
        self._zeroes = DirtyBitmap(size, unit)

    def is_zero(self, offset: int, length: int) -> bool:
        """Say whether all of a range is known to be zero."""
        return self._zeroes.next_clean(offset, offset + length) is None

    def note_zero(self, offset: int, length: int) -> None:
        """Record that a range is zero now."""
        end = offset + length
        start = align_up(offset, self._unit)
        if end < self._size:
            end = align_down(end, self._unit)
        if start < end:
            self._zeroes.set(start, end - start)

    def note_data(self, offset: int, length: int) -> None:
        """Record that a range may hold something else now."""
        start, end = align_down(offset, self._unit), min(align_up(offset + length, self._unit), self._size)
        self._zeroes.reset(start, end - start)
