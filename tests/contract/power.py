"""Cut the power: what a file can hold when only flushed writes are certain."""

import random
from collections.abc import Sequence
from typing import Any

SECTOR = 512


def certain_until(log: Sequence[tuple[Any, ...]], cut: int) -> int:
    """Return how many entries of the log are on stable storage when the power goes after `cut` entries."""
    return max((entry[1] for entry in log[:cut] if entry[0] == "flushed"), default=0)


def after_power_cut(start: bytes, log: Sequence[tuple[Any, ...]], cut: int, rng: random.Random) -> bytearray:
    """Return one state that the file may be in when the power goes after `cut` entries of the log.

    Flushed writes are there.  Of each later one, every sector may be or not be there.

    Args:
        start: The file before the log began.
        log: What :class:`tests.contract.engine.MemoryFile` recorded.
        cut: Entries that had been logged.
        rng: Decides what survived.
    """
    data = bytearray(start)
    certain = certain_until(log, cut)
    share = rng.choice((0.0, 0.2, 0.5, 0.8, 1.0))
    for place, entry in enumerate(log[:cut]):
        if entry[0] == "write":
            if place < certain:
                _write(data, entry[1], entry[2])
            elif rng.random() < 0.5:
                _write_torn(data, entry[1], entry[2], share, rng)
            elif rng.random() < share:
                _write(data, entry[1], entry[2])
        elif entry[0] == "truncate" and (place < certain or rng.random() < share):
            _resize(data, entry[1])
    return data


def _resize(data: bytearray, size: int) -> None:
    if size < len(data):
        del data[size:]
    else:
        data.extend(bytes(size - len(data)))


def _write(data: bytearray, offset: int, new: bytes) -> None:
    if offset + len(new) > len(data):
        _resize(data, offset + len(new))
    data[offset : offset + len(new)] = new


def _write_torn(data: bytearray, offset: int, new: bytes, share: float, rng: random.Random) -> None:
    position = 0
    while position < len(new):
        length = min(SECTOR - (offset + position) % SECTOR, len(new) - position)
        if rng.random() < share:
            _write(data, offset + position, new[position : position + length])
        position += length
