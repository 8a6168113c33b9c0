"""Remember which parts of a node were written."""

from collections.abc import Iterator
from typing import Final

from qmpserver.block.bits import PAGE_BITS, Bits
from qmpserver.units import align_up, is_power_of_two

_WORD_BYTES: Final = 8


class DirtyBitmap:
    """One bit for each `granularity` bytes of a node, and what a client may know of the whole.

    Args:
        size: Bytes of the node.
        granularity: Bytes that share one bit, a power of two.
        name: What clients call it; None for a bitmap of the server's own.

    Attributes:
        bits: The bits, by granule.
        is_enabled: Writes to the node are recorded.
        is_busy: A job or an export uses it; it may not be changed or deleted.
        is_persistent: It is to be stored in the image.
        is_inconsistent: It was not stored when the image was last used: its content means nothing.
        is_read_only: It is stored as being up to date in an image that cannot be marked otherwise, so nothing
            may be written to the node.
        successor: The bitmap that records in its place while a job uses it, or None.
    """

    __slots__ = (
        "bits", "granularity", "is_busy", "is_enabled", "is_inconsistent", "is_persistent", "is_read_only",
        "name", "size", "successor",
    )  # fmt: skip

    def __init__(self, size: int, granularity: int, name: str | None = None) -> None:
        if not is_power_of_two(granularity):
            raise ValueError(f"granularity {granularity} is not a power of two")
        self.size = size
        self.granularity = granularity
        self.name = name
        self.bits = Bits(-(-size // granularity))
        self.is_enabled = True
        self.is_busy = False
        self.is_persistent = False
        self.is_inconsistent = False
        self.is_read_only = False
        self.successor: DirtyBitmap | None = None

    @property
    def count(self) -> int:
        """The bytes marked, in whole granules; may be more than `size`."""
        return self.bits.count * self.granularity

    @property
    def is_recording(self) -> bool:
        """Whether writes are recorded, here or in the successor."""
        return self.is_enabled or (self.successor is not None and self.successor.is_enabled)

    def set(self, offset: int, length: int) -> None:
        """Mark every granule that the range touches."""
        last = min(offset + length, self.size) - 1
        if last >= offset and length:
            self.bits.set(offset // self.granularity, last // self.granularity + 1)

    def reset(self, offset: int, length: int) -> None:
        """Unmark every granule that lies in the range as a whole; the last one ends with the node."""
        end = min(offset + length, self.size)
        stop = self.bits.length if end == self.size else end // self.granularity
        self.bits.reset(-(-offset // self.granularity), stop)

    def clear(self) -> None:
        """Unmark everything."""
        self.bits.fill(is_set=False)

    def merge(self, other: "DirtyBitmap") -> None:
        """Mark what another bitmap of a node of the same size has marked."""
        if other.granularity == self.granularity:
            self.bits.merge(other.bits)
            return
        for offset, length in other.areas():
            self.set(offset, length)

    def take_marks(self, other: "DirtyBitmap") -> None:
        """Have the marks of `other`, which has the same size and granularity, instead of the own."""
        self.bits.copy_from(other.bits)

    def resize(self, size: int) -> None:
        """Follow a change of the node's size: what is new is clean, what is gone is forgotten."""
        self.bits.resize(-(-size // self.granularity))
        self.size = size

    def is_dirty(self, offset: int) -> bool:
        """Say whether the granule that holds the byte at `offset` is marked."""
        return self.bits.is_set(offset // self.granularity)

    def next_dirty(self, offset: int, end: int) -> int | None:
        """Return the first byte at or after `offset`, and before `end`, that is marked; None if none is."""
        return self._next(offset, end, is_dirty=True)

    def next_clean(self, offset: int, end: int) -> int | None:
        """Return the first byte at or after `offset`, and before `end`, that is not marked; None if all are."""
        return self._next(offset, end, is_dirty=False)

    def next_dirty_area(self, offset: int, end: int, max_length: int | None = None) -> tuple[int, int] | None:
        """Return offset and length of the first run of marked bytes in a range; None if there is none.

        Args:
            offset: Where the range begins.
            end: Where it ends.
            max_length: The most that is wanted of the run.
        """
        end = min(end, self.size)
        start = self._next(offset, end, is_dirty=True)
        if start is None:
            return None
        stop = end if max_length is None else min(end, start + max_length)
        clean = self._next(start, stop, is_dirty=False)
        return start, (stop if clean is None else clean) - start

    def areas(self) -> Iterator[tuple[int, int]]:
        """Go through the marked runs, as offset and length, in order."""
        for first, stop in self.bits.runs():
            offset = first * self.granularity
            yield offset, min(stop * self.granularity, self.size) - offset

    def sha256(self) -> str:
        """Return the digest of the bits as QEMU keeps them: little-endian words of 64 bits, one at least."""
        import hashlib  # noqa: PLC0415 - few ask, and all would wait for it at start

        digest = hashlib.sha256()
        rest = max(align_up(self.bits.length, 8 * _WORD_BYTES) // 8, _WORD_BYTES)
        page = 0
        while rest:
            length = min(rest, PAGE_BITS // 8)
            digest.update(self.bits.page(page).to_bytes(PAGE_BITS // 8, "little")[:length])
            rest -= length
            page += 1
        return digest.hexdigest()

    def _next(self, offset: int, end: int, *, is_dirty: bool) -> int | None:
        end = min(end, self.size)
        if offset >= end:
            return None
        stop = (end - 1) // self.granularity + 1
        bit = self.bits.next(offset // self.granularity, stop, is_set=is_dirty)
        return None if bit is None else max(bit * self.granularity, offset)
