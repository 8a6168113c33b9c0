"""A row of bits of any length, in memory in proportion to what was changed in it.

The bits lie in pages, each an integer of :data:`PAGE_BITS` bits: changing, counting and searching a page are
then one operation each.  A page that was never touched is not kept, and setting or clearing the whole row
forgets all pages, so an empty or a full row costs nothing however long it is.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Final

PAGE_BITS: Final = 4096
_FULL: Final = (1 << PAGE_BITS) - 1


class Bits:
    """Bits that are found by index.  Ranges are ``[first, stop)`` and lie within the row.

    Args:
        length: How many there are.

    Attributes:
        length: How many there are.
        count: How many are set.
        pages: The pages that are kept, by their index.
        order: Their indices, sorted.
        is_full: Of the pages that are not kept, all bits are set; none, if not.
    """

    __slots__ = ("count", "is_full", "length", "order", "pages")

    def __init__(self, length: int) -> None:
        self.length = length
        self.count = 0
        self.pages: dict[int, int] = {}
        self.order: list[int] = []
        self.is_full = False

    # Changing

    def set(self, first: int, stop: int) -> None:
        """Set a range."""
        page, bit, count = first // PAGE_BITS, first % PAGE_BITS, stop - first
        if bit + count > PAGE_BITS or count >= self.length:
            self._change(first, stop, is_set=True)
            return
        # Every write to a node with a bitmap comes here: no calls that can be spared.
        old = self.pages.get(page)
        if old is None:
            old = self.page(page)
        new = old | ((1 << count) - 1) << bit
        if new != old:
            self._put(page, old, new)

    def reset(self, first: int, stop: int) -> None:
        """Clear a range."""
        self._change(first, stop, is_set=False)

    def fill(self, *, is_set: bool) -> None:
        """Set or clear all."""
        self.pages.clear()
        self.order.clear()
        self.is_full = is_set
        self.count = self.length if is_set else 0

    def merge(self, other: "Bits") -> None:
        """Set what is set in another row of the same length."""
        if other.is_full:
            for first, stop in other.runs():
                self.set(first, stop)
            return
        for page, more in other.pages.items():
            old = self.page(page)
            self._put(page, old, old | more)

    def copy_from(self, other: "Bits") -> None:
        """Become like another row of the same length."""
        self.pages, self.order = dict(other.pages), list(other.order)
        self.is_full, self.count = other.is_full, other.count

    def resize(self, length: int) -> None:
        """Forget bits at the end, or add clear ones."""
        if length < self.length:
            self.reset(length, self.length)
        elif length > self.length and self.is_full:
            self._keep_all()
        self.length = length

    def load(self, first: int, data: bytes) -> None:
        """Have the bits from `first` on as :meth:`dump` returned them; what is past the end is ignored.

        Args:
            first: The first bit of a page.
            data: The bits, the lowest first.
        """
        for page, _, end in _spans(first, min(first + 8 * len(data), self.length)):
            at = (page * PAGE_BITS - first) // 8
            bits = int.from_bytes(data[at : at + PAGE_BITS // 8], "little") & (1 << end) - 1
            old = self.page(page)
            new = old >> end << end | bits
            if new != old:
                self._put(page, old, new)

    # Looking

    def dump(self, first: int, stop: int) -> bytes:
        """Return a range that begins with a page, in bytes, the lowest bit first."""
        pages = (
            (self.page(page) & (1 << end) - 1).to_bytes(-(-end // 8), "little")
            for page, _, end in _spans(first, stop)
        )
        return b"".join(pages)

    def is_set(self, bit: int) -> bool:
        """Say whether one bit is set."""
        page, at = divmod(bit, PAGE_BITS)
        return bool(self.page(page) >> at & 1)

    def next(self, first: int, stop: int, *, is_set: bool) -> int | None:
        """Return the first bit of a range that is set, or that is clear; None when there is none."""
        page, start = divmod(first, PAGE_BITS)
        at = bisect_left(self.order, page)
        while page * PAGE_BITS < stop:
            is_kept = at < len(self.order) and self.order[at] == page
            if not is_kept and is_set != self.is_full:
                # None of the pages that are not kept has such a bit.
                if at >= len(self.order):
                    return None
                page, start = self.order[at], 0
                continue
            bits = (self.page(page) if is_set else ~self.page(page) & _FULL) >> start
            if bits:
                found = page * PAGE_BITS + start + (bits & -bits).bit_length() - 1
                return found if found < stop else None
            page, start, at = page + 1, 0, at + is_kept
        return None

    def runs(self) -> Iterator[tuple[int, int]]:
        """Go through the ranges that are set, in order."""
        first = self.next(0, self.length, is_set=True)
        while first is not None:
            stop = self.next(first, self.length, is_set=False)
            yield first, self.length if stop is None else stop
            first = None if stop is None else self.next(stop, self.length, is_set=True)

    # Pages

    def page(self, page: int) -> int:
        """Return the bits of a page; past the end of the row they are clear."""
        bits = self.pages.get(page)
        if bits is None:
            return self._blank(page) if self.is_full else 0
        return bits

    def _blank(self, page: int) -> int:
        bits = min(max(self.length - page * PAGE_BITS, 0), PAGE_BITS)
        return _FULL if bits == PAGE_BITS else (1 << bits) - 1

    def _put(self, page: int, old: int, new: int) -> None:
        self.count += new.bit_count() - old.bit_count()
        if page not in self.pages:
            insort(self.order, page)
        # Full pages share one integer.
        self.pages[page] = _FULL if new == _FULL else new

    def _change(self, first: int, stop: int, *, is_set: bool) -> None:
        if first <= 0 and stop >= self.length:
            self.fill(is_set=is_set)
            return
        for page, start, end in _spans(first, stop):
            mask = ((1 << end - start) - 1) << start
            old = self.page(page)
            new = old | mask if is_set else old & ~mask
            if new != old:
                self._put(page, old, new)

    def _keep_all(self) -> None:
        """Keep every page of a full row, because the pages to come are not full."""
        for page in range(-(-self.length // PAGE_BITS)):
            self.pages.setdefault(page, self._blank(page))
        self.order = sorted(self.pages)
        self.is_full = False


def _spans(first: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Cut a range of bits where pages begin: the page, and where in it the range begins and ends."""
    while first < stop:
        page, start = divmod(first, PAGE_BITS)
        end = min(PAGE_BITS, start + stop - first)
        yield page, start, end
        first += end - start
