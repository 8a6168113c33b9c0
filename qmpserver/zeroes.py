"""Tell zeroes from data, and supply zeroes, without copying."""

from collections.abc import Iterator

from qmpserver.units import KiB, MiB

_ZEROES = bytes(MiB)
_ZERO_VIEW = memoryview(_ZEROES)
_PIECE = 64 * KiB


def fill_zeroes(into: memoryview) -> None:
    """Make every byte of `into` zero."""
    length = len(into)
    if length <= MiB:
        into[:] = _ZERO_VIEW[:length]
        return
    for start in range(0, length, MiB):
        part = into[start : start + MiB]
        part[:] = _ZERO_VIEW[: len(part)]


def zero_view(length: int) -> memoryview:
    """Return a read-only view of up to 1 MiB of zeroes."""
    return _ZERO_VIEW[:length]


def is_zero(data: memoryview) -> bool:
    """Say whether every byte of `data` is zero.

    Data shows itself at the first, middle or last byte nearly always; only what passes there is
    compared in full, a piece at a time.
    """
    length = len(data)
    if not length:
        return True
    if data[0] or data[length - 1] or data[length >> 1]:
        return False
    for start in range(0, length, _PIECE):
        # bytes against bytes is one memcmp; a memoryview is compared item by item.
        piece = bytes(data[start : start + _PIECE])
        if piece != (_ZEROES[:_PIECE] if len(piece) == _PIECE else _ZEROES[: len(piece)]):
            return False
    return True


def zero_runs(data: memoryview, unit: int) -> Iterator[tuple[int, int, bool]]:
    """Split `data` into runs of units that are all zero or all not.

    Args:
        data: What to look at.
        unit: Bytes that are judged together; the last may be shorter.

    Yields:
        Offset into `data`, length, and whether the run is zero.
    """
    total = len(data)
    start, run_is_zero = 0, is_zero(data[:unit])
    for offset in range(unit, total, unit):
        piece_is_zero = is_zero(data[offset : offset + unit])
        if piece_is_zero != run_is_zero:
            yield start, offset - start, run_is_zero
            start, run_is_zero = offset, piece_is_zero
    if total:
        yield start, total - start, run_is_zero
