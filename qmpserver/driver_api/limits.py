"""State what a driver asks of the requests it is given."""

from collections.abc import Sequence
from typing import NamedTuple


class Limits(NamedTuple):
    """Sizes in bytes; the engine splits, pads and aligns requests to them.

    Attributes:
        request_alignment: Offsets and lengths of reads and writes are multiples of it.
        pwrite_zeroes_alignment: The unit that can be made zero without writing; 0 when there is none.
        pdiscard_alignment: The unit that can be discarded; 0 when there is none.
        max_transfer: The largest read or write; 0 for no limit.
        max_pwrite_zeroes: The most that is made zero at once; 0 for no limit.
        max_pdiscard: The most that is discarded at once; 0 for no limit.
        min_mem_alignment: What buffers in memory must be aligned to.
        opt_transfer: The size that is best moved at once; 0 when there is no preference.
        max_hw_transfer: The most that the host's hardware moves at once; 0 where that is not known.
        max_hw_iov: The most pieces of memory that it moves at once; 0 where that is not known.
    """

    request_alignment: int = 1
    pwrite_zeroes_alignment: int = 0
    pdiscard_alignment: int = 0
    max_transfer: int = 0
    max_pwrite_zeroes: int = 0
    max_pdiscard: int = 0
    min_mem_alignment: int = 1
    opt_transfer: int = 0
    max_hw_transfer: int = 0
    max_hw_iov: int = 0


def inherited_limits(limits: Sequence[Limits]) -> Limits:
    """Return what nodes together lay on whoever passes requests on to them."""
    return Limits(
        pdiscard_alignment=max((each.pdiscard_alignment for each in limits), default=0),
        max_transfer=min((each.max_transfer for each in limits if each.max_transfer), default=0),
        min_mem_alignment=max((each.min_mem_alignment for each in limits), default=1),
        opt_transfer=max((each.opt_transfer for each in limits), default=0),
        max_hw_transfer=min((each.max_hw_transfer for each in limits if each.max_hw_transfer), default=0),
        max_hw_iov=min((each.max_hw_iov for each in limits if each.max_hw_iov), default=0),
    )
