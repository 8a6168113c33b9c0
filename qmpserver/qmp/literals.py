"""Read the text of string and number tokens, and show bytes that may be no text at all."""

import re
from typing import Final

_ESCAPE = re.compile(rb"\\(u.{0,4}|.)", re.DOTALL)
_SIMPLE_ESCAPES: Final = {
    b'"': '"',
    b"'": "'",
    b"\\": "\\",
    b"/": "/",
    b"b": "\b",
    b"f": "\f",
    b"n": "\n",
    b"r": "\r",
    b"t": "\t",
}
_HEX4 = re.compile(rb"[0-9A-Fa-f]{4}\Z")
_LOW_SURROGATE = re.compile(rb"\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})")

_NONCHARACTER = re.compile(
    "[\ufdd0-\ufdef"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
    + "]"
)
"""Code points that Unicode sets aside for ever ("noncharacters"); QEMU refuses them in strings."""

_SEQUENCE = re.compile(
    rb"[\x00-\x7f]++|[\xc0-\xdf][\x80-\xbf]?+|[\xe0-\xef][\x80-\xbf]{0,2}+|[\xf0-\xf7][\x80-\xbf]{0,3}+"
    rb"|[\xf8-\xfb][\x80-\xbf]{0,4}+|[\xfc\xfd][\x80-\xbf]{0,5}+|.",
    re.DOTALL,
)
_NUL_AS_TWO_BYTES = b"\xc0\x80"

_MAX_INTEGER_DIGITS = 20
_INT64_MIN = -(1 << 63)
_UINT64_MAX = (1 << 64) - 1


class LiteralError(Exception):
    """Say what is wrong with the text of a token."""


def read_string(token: bytes) -> str:
    """Return what a string token means.

    The encoding is "modified UTF-8": UTF-8 in which U+0000 may also be the bytes C0 80.

    Args:
        token: The token with its quotes.

    Raises:
        LiteralError: It holds an unknown escape, or what is no character; the first such is named.
    """
    if b"\\" not in token:
        return _text(token[1:-1])
    pieces = []
    end = len(token) - 1
    offset = 1
    while (found := token.find(b"\\", offset, end)) >= 0:
        pieces.append(_text(token[offset:found]))
        character, offset = _read_escape(token, found)
        pieces.append(character)
    pieces.append(_text(token[offset:end]))
    return "".join(pieces)


def _text(raw: bytes) -> str:
    if raw.isascii():
        return raw.decode("ascii")
    try:
        text = raw.replace(_NUL_AS_TWO_BYTES, b"\0").decode()
    except UnicodeDecodeError:
        raise LiteralError("invalid UTF-8 sequence in string") from None
    if _NONCHARACTER.search(text):
        raise LiteralError("invalid UTF-8 sequence in string")
    return text


def _read_escape(token: bytes, offset: int) -> tuple[str, int]:
    """Return the character an escape stands for, and the offset behind it."""
    match = _ESCAPE.match(token, offset)
    assert match is not None
    name = match[1]
    if name[:1] != b"u":
        character = _SIMPLE_ESCAPES.get(name)
        if character is None:
            raise LiteralError("invalid escape sequence in string")
        return character, match.end()
    if not _HEX4.match(name, 1):
        raise _no_character(match[0])
    code = int(name[1:], 16)
    end = match.end()
    if 0xD800 <= code <= 0xDBFF and (low := _LOW_SURROGATE.match(token, end)):
        code = 0x10000 + ((code & 0x3FF) << 10 | int(low[1], 16) & 0x3FF)
        end = low.end()
    if 0xD800 <= code <= 0xDFFF or _NONCHARACTER.match(chr(code)):
        raise _no_character(token[offset:end])
    return chr(code), end


def _no_character(escape: bytes) -> LiteralError:
    return LiteralError(f"{show(escape)} is not a valid Unicode character")


def read_number(token: bytes) -> int | float:
    """Return the value of a number token.

    An integer that fits neither 64 bits signed nor unsigned becomes a float, as in QEMU; a float out
    of range becomes an infinity.
    """
    if len(token) <= _MAX_INTEGER_DIGITS and (token.isdigit() or token[1:].isdigit()):
        value = int(token)
        if _INT64_MIN <= value <= _UINT64_MAX:
            return value
    return float(token)


def show(raw: bytes) -> str:
    """Return bytes as a text for an error: up to the first NUL, U+FFFD for each malformed sequence."""
    return _SEQUENCE.sub(_show_sequence, raw.partition(b"\0")[0]).decode()


def _show_sequence(match: re.Match[bytes]) -> bytes:
    try:
        return _text(match[0]).encode()
    except LiteralError:
        return "\N{REPLACEMENT CHARACTER}".encode()
