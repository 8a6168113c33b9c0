"""Read and write numbers as QEMU's tools do: ``64k``, ``1.5G``, ``0x200``."""

import re

MAX_SIZE = (1 << 63) - 1
"""The largest size or offset in bytes."""

_SHIFTS = {"": 0, "b": 0, "k": 10, "m": 20, "g": 30, "t": 40, "p": 50, "e": 60}
# `re` compiles these when they are first used, which in many a short run is never.
_SIZE = r"(?i)\s*\+?([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([bkmgtpe]?)\Z"
_NEGATIVE_SIZE = r"\s*-(?:[0-9]+|\.[0-9]+)\Z"
_HEXADECIMAL = r"(?i)\s*\+?0x([0-9a-f]+)\Z"
_INTEGER = r"(?i)\s*([+-]?)(?:0x([0-9a-f]+)|(0[0-7]*)|([1-9][0-9]*))\Z"

_MOST_DIGITS = 40
"""Further digits make no difference: the number is larger than any that is allowed."""


def parse_size(text: str) -> int | None:
    """Return the bytes that a text with an optional suffix means, to the nearest byte.

    Returns:
        The bytes, possibly more than :data:`MAX_SIZE`; -1 for any negative number; None for no number.
    """
    if re.match(_NEGATIVE_SIZE, text) is not None:
        return -1
    if (found := re.match(_HEXADECIMAL, text)) is not None:
        return int(found[1], 16)
    if (found := re.match(_SIZE, text)) is None:
        return None
    number, unit = found[1], found[2].lower()
    whole, _, fraction = number.partition(".")
    if fraction.strip("0") and not _SHIFTS[unit]:
        return None
    shift, fraction = _SHIFTS[unit], fraction[:_MOST_DIGITS]
    of_fraction: int = ((int(fraction or "0") << shift + 1) + 10 ** len(fraction)) // (
        2 * 10 ** len(fraction)
    )
    return (decimal(whole or "0") << shift) + of_fraction


def integer(text: str) -> int | None:
    """Return a whole number in C's notation, or None; of a very large one only that it is that."""
    found = re.match(_INTEGER, text)
    if found is None:
        return None
    sign, hexadecimal, octal, digits = found.groups()
    value = int(hexadecimal, 16) if hexadecimal else int(octal, 8) if octal else decimal(digits)
    return -value if sign == "-" else value


def decimal(digits: str) -> int:
    """Return the number that decimal digits mean, of a very large one only that it is that: Python reads so many only."""
    return int(digits.lstrip("0")[:_MOST_DIGITS] or "0")


def human_size(size: int) -> str:
    """Write a size with three digits and a binary unit: ``64 MiB``, ``1.5 KiB``, ``0 B``."""
    amount, unit = float(size), ""
    for unit in ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"):
        if amount < 1000 or unit == "Ei":
            break
        amount /= 1024
    return f"{amount:.3g} {unit}B"
