"""Parse QEMU's flat ``key=value,...`` syntax, in which each option declares its keys and their types.

    socket,id=mon,path=/run/qmp.sock,server=on,wait=off

Older than :mod:`keyval` and different from it: keys have no structure, and a word without a value
is a boolean, ``server`` for ``server=on`` and ``nowait`` for ``wait=off``, which earns a warning.
"""

import re
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import NamedTuple

from qmpserver.errors import ParameterError
from qmpserver.numerals import integer, parse_size

HELP_WORDS = frozenset(("help", "?"))
MAX_NUMBER = (1 << 64) - 1

_WORD = re.compile(r"[^=,]*")
_ESCAPED = re.compile(r"(?:[^,]|,,)*", re.DOTALL)
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9\-._]*\Z")
SWITCHES: Mapping[str, bool] = {
    **dict.fromkeys(("on", "yes", "true", "y"), True),
    **dict.fromkeys(("off", "no", "false", "n"), False),
}
"""What the words for a boolean mean."""


Value = str | int | bool


class Kind(Enum):
    """What a key's value is."""

    STRING = auto()
    BOOLEAN = auto()
    NUMBER = auto()
    SIZE = auto()


class FlatOptions(NamedTuple):
    """A parsed option argument.

    Attributes:
        option_id: Its ``id``, if it has one.
        values: All other values by key, in their declared types.
        wants_help: A word ``help`` or ``?`` stood among them.
    """

    option_id: str | None
    values: Mapping[str, Value]
    wants_help: bool


def parse(
    text: str, kinds: Mapping[str, Kind], implied_key: str | None, warn: Callable[[str, str], object]
) -> FlatOptions:
    """Parse a whole option argument.

    Args:
        text: What the user wrote.
        kinds: The keys there are, and what each holds.
        implied_key: The key of a first word without one; None where such a word is a boolean like any other.
        warn: Told of a short-form boolean: what is deprecated, and what to write instead.

    Raises:
        ParameterError: A key is unknown, a value is not of its type, or the id is malformed.
    """
    pairs, wants_help = split_pairs(text, implied_key, warn)
    return _typed(pairs, kinds, wants_help=wants_help)


def split_pairs(
    text: str, implied_key: str | None, warn: Callable[[str, str], object]
) -> tuple[list[tuple[str, str]], bool]:
    """Split an option argument into keys and values, where what the keys mean is known elsewhere.

    Returns:
        The pairs in order, and whether a word asks for help.
    """
    pairs: list[tuple[str, str]] = []
    wants_help = False
    position = 0
    while position < len(text):
        found = _WORD.match(text, position)
        assert found is not None
        word, end = found.group(), found.end()
        if text[end : end + 1] == "=":
            value, position = _value(text, end + 1)
            pairs.append((word, value))
            continue
        is_first, position = position == 0, end + 1
        if word in HELP_WORDS:
            wants_help = True
        elif is_first and implied_key is not None:
            value, position = _value(text, 0)
            pairs.append((implied_key, value))
        else:
            pairs.append(_short_form(word, warn))
    return pairs, wants_help


def _value(text: str, start: int) -> tuple[str, int]:
    """Read a value up to a single comma; return it and where the next word starts."""
    found = _ESCAPED.match(text, start)
    assert found is not None
    return found.group().replace(",,", ","), found.end() + 1


def _short_form(word: str, warn: Callable[[str, str], object]) -> tuple[str, str]:
    name, value = (word[2:], "off") if word.startswith("no") else (word, "on")
    # QEMU: "nodelay" is understood as turning "delay" off, and yet the advice is about "nodelay".
    instead = {"delay=on": "nodelay=off", "delay=off": "nodelay=on"}.get(f"{name}={value}", f"{name}={value}")
    warn(f"short-form boolean option '{word}' deprecated", f"Please use {instead} instead")
    return name, value


def _typed(pairs: list[tuple[str, str]], kinds: Mapping[str, Kind], *, wants_help: bool) -> FlatOptions:
    option_id = next((value for key, value in pairs if key == "id"), None)
    if wants_help:
        return FlatOptions(option_id, {}, wants_help)
    if option_id is not None:
        check_id(option_id)
    values: dict[str, Value] = {}
    for key, value in pairs:
        if key == "id":
            continue
        if key not in kinds:
            raise ParameterError(f"Invalid parameter '{key}'")
        values[key] = _CONVERTERS[kinds[key]](key, value)
    return FlatOptions(option_id, values, wants_help)


# The values of single options, where they come from elsewhere


def check_id(text: str) -> None:
    """Refuse an id that nothing on a command line can have.

    Raises:
        ParameterError: With QEMU's text.
    """
    if not _IDENTIFIER.match(text):
        raise ParameterError("Parameter 'id' expects an identifier")


def _string(_key: str, value: str) -> str:
    return value


def boolean(key: str, value: str) -> bool:
    """Return what a text says of something that is on or off.

    Raises:
        ParameterError: It says neither.
    """
    if value not in SWITCHES:
        raise ParameterError(f"Parameter '{key}' expects 'on' or 'off'")
    return SWITCHES[value]


def number(key: str, value: str) -> int:
    """Read a number as C does: ``0x`` is hexadecimal, a leading 0 octal, and a minus sign wraps around.

    Raises:
        ParameterError: It is none, or has more than 64 bits.
    """
    found = integer(value)
    if found is None:
        raise ParameterError(f"Parameter '{key}' expects a number")
    if abs(found) > MAX_NUMBER:
        raise ParameterError(f"Value '{value}' is too large for parameter '{key}'")
    return found & MAX_NUMBER


def size(key: str, value: str) -> int:
    """Return the bytes that a text with an optional suffix means.

    Raises:
        ParameterError: It means none, or more than have a number.
    """
    bytes_ = parse_size(value)
    if bytes_ is None:
        raise ParameterError(f"Parameter '{key}' expects a non-negative number below 2^64")
    if not 0 <= bytes_ <= MAX_NUMBER:
        raise ParameterError(f"Value '{value}' is out of range for parameter '{key}'")
    return bytes_


_CONVERTERS: dict[Kind, Callable[[str, str], Value]] = {
    Kind.STRING: _string,
    Kind.BOOLEAN: boolean,
    Kind.NUMBER: number,
    Kind.SIZE: size,
}
