"""Read sizes as a person writes them: ``64k``, ``1.5G``."""

import re

from qmpserver.errors import ParameterError

_SIZE = re.compile(r"(0[xX][0-9a-fA-F]+|[0-9]+(?:\.[0-9]*)?)([bBkKmMgGtTpPeE]?)\Z")
_SUFFIXES = "bkmgtpe"


def size_value(name: str, text: str) -> int:
    """Return the bytes that `text` says.

    Raises:
        ParameterError: It is no size.
    """
    found = _SIZE.match(text)
    size = -1.0
    if found is not None:
        number, suffix = found[1], found[2].lower() or "b"
        scale = 1 << 10 * _SUFFIXES.index(suffix)
        size = (
            float(number) * scale
            if "." in number
            else int(number, 0 if number[:2] in ("0x", "0X") else 10) * scale
        )
    if not 0 <= size < 1 << 64:
        raise ParameterError(f"Parameter '{name}' expects a non-negative number below 2^64")
    return int(size)
