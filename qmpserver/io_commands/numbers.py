"""Read the numbers that commands take, and write sizes as they print them."""

from qmpserver.io_commands.command import Complaint
from qmpserver.numerals import MAX_SIZE, integer, parse_size

MAX_REQUEST = (1 << 31) - 512
"""The most bytes that one request may have: whole sectors below 2 GiB."""

_UNITS = tuple((1 << 10 * power, f" {unit}iB") for power, unit in enumerate("KMGTPE", start=1))


def size_argument(text: str) -> int:
    """Return an offset or length in bytes.

    Raises:
        Complaint: It is none.
    """
    size = parse_size(text)
    if size is None:
        raise Complaint(f"Parsing error: non-numeric argument, or extraneous/unrecognized suffix -- {text}")
    if not 0 <= size <= MAX_SIZE:
        raise Complaint(f"Parsing error: argument too large -- {text}")
    return size


def pattern_argument(text: str) -> int:
    """Return the byte that a pattern is made of.

    Raises:
        Complaint: It is none.
    """
    pattern = integer(text)
    if pattern is None or not 0 <= pattern <= 0xFF:
        raise Complaint(f"{text} is not a valid pattern byte")
    return pattern


def lengths(texts: list[str]) -> int:
    """Return the bytes in several buffers together.

    Raises:
        Complaint: One is no length, or they are too many bytes for one request.
    """
    total = 0
    for text in texts:
        length = size_argument(text)
        if length > MAX_REQUEST:
            raise Complaint(f"Argument '{text}' exceeds maximum size {MAX_REQUEST}")
        total += length
        if total > MAX_REQUEST:
            raise Complaint(f"The total number of bytes exceed the maximum size {MAX_REQUEST}")
    return total


def size_text(size: float) -> str:
    """Write an amount of bytes with a binary unit: ``64 KiB``, ``1.500 MiB``, ``0 bytes``."""
    text, suffix = f"{size:.6f}", " bytes"
    for unit, name in _UNITS:
        if size >= unit:
            text, suffix = f"{size / unit:.3f}", name
    # A fraction that begins with three zeroes is left out, even if more digits follow.
    whole, _, fraction = text.partition(".")
    return whole + suffix if fraction.startswith("000") else text + suffix
