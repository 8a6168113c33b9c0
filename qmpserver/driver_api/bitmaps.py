"""What the engine and a format that stores dirty bitmaps know of each other."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable


class BitRow(Protocol):
    """The bits of a bitmap, one for each granule of the disk."""

    @property
    def length(self) -> int:
        """How many there are."""

    def dump(self, first: int, stop: int) -> bytes:
        """Return a range in bytes, the lowest bit first."""

    def load(self, first: int, data: bytes) -> None:
        """Have the bits from `first` on as :meth:`dump` returned them."""

    def set(self, first: int, stop: int) -> None:
        """Set a range."""

    def next(self, first: int, stop: int, *, is_set: bool) -> int | None:
        """Return the first bit of a range that is set, or that is clear; None when there is none."""


class StoredBitmap(NamedTuple):
    """A bitmap in an image, without its content.

    Attributes:
        name: What clients call it; unique in the image.
        granularity: Bytes of the disk that share one bit.
        is_enabled: It records writes whenever the image is in use.
        is_in_use: It was in use when the image was opened and has not been stored since: its content means nothing.
    """

    name: str
    granularity: int
    is_enabled: bool
    is_in_use: bool = False


@runtime_checkable
class SupportsBitmaps(Protocol):
    """A format whose images can hold dirty bitmaps.

    Before an image that is writable can change, every bitmap in it is marked as in use, durably, and it
    stays so until :meth:`store_bitmaps`.  The node is drained during every change.
    """

    @property
    def can_hold_bitmaps(self) -> bool:
        """Whether this very image can; an old version of its format may know none."""

    @property
    def stored_bitmaps(self) -> tuple[StoredBitmap, ...]:
        """The bitmaps in the image, in its own order, as they were found or stored last."""

    def check_new_bitmap(self, wanted: StoredBitmap, others: Sequence[str]) -> None:
        """Refuse a bitmap that the image cannot hold besides the others.

        Args:
            wanted: The new bitmap.
            others: The names of all that will be stored anyway.

        Raises:
            QMPError: Why not.
        """

    async def load_bitmap(self, name: str, bits: BitRow) -> None:
        """Set those bits of an empty row that are set in the stored bitmap of that name.

        Raises:
            QMPError: It is damaged.
            OSError: It cannot be read.
        """

    async def store_bitmaps(self, bitmaps: Sequence[tuple[StoredBitmap, BitRow]]) -> None:
        """Store bitmaps, durably and all at once, as no longer in use; those not named stay as they are.

        Raises:
            QMPError: One cannot be stored; the image holds what it held.
            OSError: The same.
        """

    async def mark_bitmaps_in_use(self) -> None:
        """Have every stored bitmap say, durably, that it may be out of date, because the image is written on.

        Raises:
            OSError: The image cannot be written.
        """

    async def remove_bitmap(self, name: str) -> None:
        """Remove a bitmap from the image, if it is there.

        Raises:
            OSError: The image cannot be written; it holds what it held.
        """
