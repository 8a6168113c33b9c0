"""Say what a command takes, and read what was typed; no I/O."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from qmpserver.errors import QMPError
from qmpserver.machine.hmp.expression import evaluate
from qmpserver.numerals import decimal

_SIZE = re.compile(
    r"\s*\+?(?:0[xX](?P<hex>[0-9a-fA-F]+)|(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?P<unit>[bkmgtpe]?)",
    re.IGNORECASE,
)
_SHIFTS = {"b": 0, "k": 10, "m": 20, "g": 30, "t": 40, "p": 50, "e": 60}
_MOST = (1 << 63) - 1
_ESCAPES = {"n": "\n", "r": "\r", "\\": "\\", "'": "'", '"': '"'}


class Kind(Enum):
    """What can be typed.

    Attributes:
        FLAG: A letter after a dash, or nothing.
        TEXT: A word, or several between quotation marks.
        DEVICE: The same, the name of a drive or node.
        FILENAME: The same, of a file.
        REST: All that is left of the line.
        INTEGER: A number of 32 bits.
        LONG: A number of 64 bits.
        MEGABYTES: A number of MiB, as bytes.
        SIZE: A number of MiB, or of what the letter behind it says, as bytes.
        SWITCH: `on` or `off`.
    """

    FLAG = "flag"
    TEXT = "string"
    DEVICE = "block device name"
    FILENAME = "filename"
    REST = "rest"
    INTEGER = "integer"
    LONG = "long"
    MEGABYTES = "megabytes"
    SIZE = "size"
    SWITCH = "switch"


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that a command takes.

    Attributes:
        name: What the command calls it.
        kind: What can be typed.
        is_optional: It may be left out, if all behind it is.
        letter: The letter of a flag.
    """

    name: str
    kind: Kind
    is_optional: bool = False
    letter: str = ""


def flag(name: str, letter: str) -> Parameter:
    """Return a letter that may stand after a dash."""
    return Parameter(name, Kind.FLAG, is_optional=True, letter=letter)


def text(name: str, kind: Kind = Kind.TEXT) -> Parameter:
    """Return a word that has to be typed."""
    return Parameter(name, kind)


def device(name: str = "device") -> Parameter:
    """Return the name of a drive or node, which has to be typed."""
    return Parameter(name, Kind.DEVICE)


def optional(name: str, kind: Kind = Kind.TEXT) -> Parameter:
    """Return what may be left out."""
    return Parameter(name, kind, is_optional=True)


def mebibytes(text: str) -> tuple[int, int] | None:
    """Return the bytes that a number of MiB, or of what the letter behind it says, means at the begin of a text.

    Returns:
        The bytes, and where the number ends; None when there is none, or it is too large.
    """
    found = _SIZE.match(text)
    if found is None:
        return None
    shift = _SHIFTS[found["unit"].lower() or "m"]
    if found["hex"] is not None:
        size = int(found["hex"], 16) << shift
    else:
        whole, _, fraction = found["number"].partition(".")
        size = (decimal(whole or "0") << shift) + int(float(f"0.{fraction or 0}") * (1 << shift))
    return None if size > _MOST else (size, found.end())


class WrongArguments(Exception):
    """Refuse what was typed, in one line or two."""


def read(parameters: Sequence[Parameter], called: str, line: str, position: int = 0) -> dict[str, Any]:
    """Read what follows a command.

    Args:
        parameters: What it takes.
        called: Its name, for complaints.
        line: What was typed.
        position: Where the arguments begin.

    Returns:
        The arguments by name; what was left out is not there, but for flags.

    Raises:
        WrongArguments: They are not what it takes.
    """
    reader = _Reader(parameters, called, line, position)
    read_arguments = {
        parameter.name: value for parameter in parameters if (value := reader.take(parameter)) is not None
    }
    if reader.rest.strip():
        raise WrongArguments(f"{called}: extraneous characters at the end of line")
    return read_arguments


class _Reader:
    def __init__(self, parameters: Sequence[Parameter], called: str, line: str, position: int) -> None:
        self._letters = {parameter.letter for parameter in parameters if parameter.letter}
        self._called = called
        self._line = line
        self._position = position

    @property
    def rest(self) -> str:
        return self._line[self._position :]

    def _skip_blanks(self) -> None:
        self._position = len(self._line) - len(self.rest.lstrip())

    def take(self, parameter: Parameter) -> Any:
        self._skip_blanks()
        if parameter.kind is Kind.FLAG:
            return self._flag(parameter.letter)
        if parameter.is_optional and not self.rest:
            return None
        match parameter.kind:
            case Kind.TEXT | Kind.DEVICE | Kind.FILENAME:
                value: Any = self._text(parameter.kind)
            case Kind.REST:
                value = self._all()
            case Kind.SIZE:
                value = self._size()
            case Kind.SWITCH:
                value = self._switch()
            case _:
                value = self._integer(parameter.kind)
        return value

    def _flag(self, letter: str) -> bool:
        if not self.rest.startswith("-"):
            return False
        given = self.rest[1:2]
        if given == letter:
            self._position += 2
            return True
        if given not in self._letters:
            raise WrongArguments(f"{self._called}: unsupported option -{given}")
        return False

    def _text(self, kind: Kind) -> str:
        expected = f"{self._called}: {kind.value} expected"
        if not self.rest:
            raise WrongArguments(expected)
        if self.rest.startswith('"'):
            return self._quoted(expected)
        word = self.rest.split(maxsplit=1)[0]
        self._position += len(word)
        return word

    def _quoted(self, expected: str) -> str:
        found: list[str] = []
        characters = iter(self.rest[1:])
        length = 1
        for character in characters:
            length += 1
            if character == '"':
                self._position += length
                return "".join(found)
            if character == "\\":
                escaped = next(characters, "")
                length += 1
                if escaped not in _ESCAPES:
                    raise WrongArguments(expected)
                character = _ESCAPES[escaped]  # noqa: PLW2901 - what was meant by it
            found.append(character)
        raise WrongArguments(expected)

    def _all(self) -> str:
        if not self.rest:
            raise WrongArguments(f"{self._called}: string expected")
        rest, self._position = self.rest, len(self._line)
        return rest

    def _size(self) -> int:
        found = mebibytes(self.rest)
        if found is None:
            raise WrongArguments("invalid size")
        size, end = found
        self._position += end
        return size

    def _switch(self) -> bool:
        word = self.rest.split(maxsplit=1)[0] if self.rest else ""
        if word not in ("on", "off"):
            raise WrongArguments("Expected 'on' or 'off'")
        self._position += len(word)
        return word == "on"

    def _integer(self, kind: Kind) -> int:
        try:
            value, self._position = evaluate(self._line, self._position)
        except QMPError as error:
            raise WrongArguments(error.description) from error
        if kind is Kind.INTEGER and not -(1 << 31) <= value < 1 << 32:
            raise WrongArguments(f"'{self._called}' has failed: integer is for 32-bit values")
        if kind is Kind.MEGABYTES:
            if value < 0:
                raise WrongArguments("enter a positive value")
            value <<= 20
        return value
