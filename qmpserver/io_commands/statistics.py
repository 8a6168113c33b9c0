"""Say what a request did, how long it took, and what was read."""

from collections.abc import Callable
from dataclasses import dataclass

from qmpserver.io_commands.numbers import size_text
from qmpserver.units import NS_PER_SECOND

Say = Callable[[str], object]
"""Takes a line."""

_ROW = 16
_CENTISECOND_NS = NS_PER_SECOND // 100


@dataclass(frozen=True, slots=True)
class Style:
    """How a request is reported.

    Attributes:
        is_quiet: Not at all.
        for_machines: As numbers separated by commas.
    """

    is_quiet: bool = False
    for_machines: bool = False


def report(say: Say, what: str, offset: int, length: int, elapsed_ns: int, *, style: Style) -> None:
    """Say what one request did.

    Args:
        say: Takes each line.
        what: What happened to the bytes: ``read``, ``wrote``, ...
        offset: Where.
        length: How many.
        elapsed_ns: How long it took.
        style: How to say it.
    """
    if style.is_quiet:
        return
    elapsed_s = max(elapsed_ns, 1) / NS_PER_SECOND
    bytes_per_second, per_second = length / elapsed_s, 1 / elapsed_s
    if style.for_machines:
        time = _time_text(elapsed_ns, is_long=True)
        say(f"{length},1,{time},{bytes_per_second:.3f},{per_second:.3f}")
        return
    time = _time_text(elapsed_ns)
    say(f"{what} {length}/{length} bytes at offset {offset}")
    say(
        f"{size_text(length)}, 1 ops; {time} ({size_text(bytes_per_second)}/sec and {per_second:.4f} ops/sec)"
    )


def _time_text(elapsed_ns: int, *, is_long: bool = False) -> str:
    seconds, fraction = divmod(elapsed_ns, NS_PER_SECOND)
    hundredths = fraction // _CENTISECOND_NS
    if not is_long and seconds < 60:
        return f"{seconds:02d}.{hundredths:02d} sec"
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02d}:{seconds % 60:02d}.{hundredths:02d}"


def dump(say: Say, offset: int, data: memoryview) -> None:
    """Show bytes in hexadecimal, and those that are letters or digits as such."""
    for start in range(0, len(data), _ROW):
        row = bytes(data[start : start + _ROW])
        characters = "".join(
            chr(byte) if chr(byte).isascii() and chr(byte).isalnum() else "." for byte in row
        )
        say(f"{offset + start:08x}:  {row.hex(' ')}  {characters}")
