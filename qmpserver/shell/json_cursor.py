"""Find out where in an unfinished JSON text the cursor is, and what has been said so far."""

import re
from dataclasses import dataclass, field
from typing import Any

_BLANK = re.compile(r"\s*")
_STRING = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""")
_BARE = re.compile(r"[^\s\[\]{}:,\"']+")
_CONSTANTS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}


@dataclass(frozen=True, slots=True)
class JSONPlace:
    """Where the cursor is.

    Attributes:
        path: The members that lead to the place; lists are passed through.  Where a value is wanted, its own last.
        wants_key: A member's name is wanted, not a value.
        root: The outermost object as far as it is written.
        partial: What is written of the key or value, with its opening quote.
        quote: The quote to use.
    """

    path: tuple[str, ...]
    wants_key: bool
    root: dict[str, Any]
    partial: str
    quote: str


@dataclass(slots=True)
class _Level:
    """An object or list that is not closed; `key` is what came before the colon that was last."""

    values: dict[str, Any] | list[Any]
    key: str | None = None
    has_value: bool = False


@dataclass(slots=True)
class _Scan:
    levels: list[_Level] = field(default_factory=list)
    root: dict[str, Any] = field(default_factory=dict)
    quote: str = '"'

    def open(self, bracket: str) -> None:
        values: dict[str, Any] | list[Any] = {} if bracket == "{" else []
        if not self.levels and isinstance(values, dict):
            self.root = values
        elif self.levels:
            self.give(values)
        self.levels.append(_Level(values))

    def give(self, value: Any) -> None:
        level = self.levels[-1]
        if isinstance(level.values, list):
            level.values.append(value)
        elif level.key is None:
            level.key = str(value)
            return
        else:
            level.values[level.key] = value
        level.has_value = True

    def mark(self, character: str) -> None:
        """Take a bracket, colon or comma."""
        if character in "{[":
            self.open(character)
        elif character in "}]":
            self.levels.pop()
        elif character == ",":
            self.levels[-1].key, self.levels[-1].has_value = None, False

    def place(self, partial: str, *, after_colon: bool) -> JSONPlace | None:
        level = self.levels[-1]
        path = tuple(outer.key for outer in self.levels if outer.key is not None)
        if level.has_value or (level.key is not None and not after_colon):
            return None
        wants_key = isinstance(level.values, dict) and level.key is None
        return JSONPlace(path, wants_key, self.root, partial, self.quote)


def find_place(text: str) -> JSONPlace | None:
    """Return where the end of the text is; None where nothing can be suggested, as behind a whole value."""
    scan, position, last = _Scan(), 0, ""
    while position < len(text):
        position = _end(_BLANK, text, position)
        if position == len(text):
            break
        character = text[position]
        if character in "{}[]:,":
            if not scan.levels and (position or character not in "{["):
                return None
            scan.mark(character)
            if not scan.levels:
                return None
            last, position = character, position + 1
            continue
        end = _end(_STRING if character in "\"'" else _BARE, text, position)
        if character in "\"'":
            scan.quote = character
        if end == position or (character not in "\"'" and end == len(text)):
            return scan.place(text[position:], after_colon=last == ":") if scan.levels else None
        if not scan.levels:
            return None
        scan.give(_read(text[position:end]))
        last, position = "value", end
    return scan.place("", after_colon=last == ":") if scan.levels else None


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return start if found is None else found.end()


def _read(token: str) -> Any:
    """Read a scalar, roughly: it only has to tell one tag from another."""
    return token[1:-1] if token[0] in "\"'" else _CONSTANTS.get(token, token)
