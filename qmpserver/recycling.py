"""Use memory again for data on its way, instead of asking for new.

New memory costs as much as filling it: the kernel clears each page when it is touched first, and Python clears all of
it once more.  What was used a moment ago is still in the processor's cache, too.
"""

from typing import Final

from qmpserver.units import KiB

LARGEST: Final = 256 * KiB
SMALLEST: Final = 32 * KiB
"""Requests of this length on, and up to the largest, are worth it."""

_MOST_KEPT: Final = 16
_ROOM: Final = 64
"""Bytes beyond the largest request, for what goes before it on the wire."""


class _Piece(bytearray):
    """Memory that belongs to the store, lent or at rest."""

    is_lent = False


_at_rest: list[_Piece] = []


def take(length: int) -> memoryview:
    """Return memory for `length` bytes, which hold anything; whoever has done with it says so to :func:`give_back`.

    Memory that is never given back is only lost for use again.
    """
    if not SMALLEST <= length <= LARGEST + _ROOM:
        return memoryview(bytearray(length))
    try:
        piece = _at_rest.pop()
    except IndexError:
        piece = _Piece(LARGEST + _ROOM)
    piece.is_lent = True
    return memoryview(piece)[:length]


def give_back(view: bytes | bytearray | memoryview) -> None:
    """Let the memory under a view be used again, if it was taken here: nobody looks at it any more."""
    piece = view.obj if isinstance(view, memoryview) else None
    if isinstance(piece, _Piece) and piece.is_lent:
        piece.is_lent = False
        if len(_at_rest) < _MOST_KEPT:
            _at_rest.append(piece)
