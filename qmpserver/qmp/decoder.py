"""Turn bytes into messages, by the shortest way that gives the same result.

Most clients send one message per line.  Such a line goes to orjson, which is an order of magnitude
faster than the exact parser, provided that nothing in it could be read differently: orjson is
stricter than QEMU where it refuses (then the exact parser decides), and laxer in three things that
are checked here: repeated keys, noncharacters, and nesting.
"""

from collections.abc import Callable
from typing import Any, Final

import orjson

from qmpserver.qmp.lexer import Lexer
from qmpserver.qmp.parser import INCOMPLETE, Parser

FAST_LINE_LIMIT = 1 << 20
"""Longer lines are for the exact parser, which knows the limits on tokens."""

_FLAT_LINE = 256
_FAST_NESTING = 100

_loads: Final[Callable[[bytes], Any]] = orjson.loads


class _Nothing:
    """The type of :data:`NEED_DATA`."""


NEED_DATA: Final = _Nothing()
"""What :meth:`Decoder.next` returns when it has given all that the bytes held."""

UNSURE: Final = _Nothing()
"""What :func:`read_line` returns for a line that the exact parser must read."""


class Decoder:
    """Take bytes as they come and give values and errors, in the order of the input.

    It is pulled: what has not been asked for is not decoded yet, so a caller bounds its work.
    """

    def __init__(self) -> None:
        self._lexer = Lexer()
        self._parser = Parser()
        self._lines: list[bytes] = []
        self._index = 0
        self._is_exact = False  # something was left to the exact parser that has not ended yet

    @property
    def has_input(self) -> bool:
        """Whether :meth:`next` may give something without new bytes."""
        return self._index < len(self._lines) or not self._lexer.is_exhausted

    def feed(self, data: bytes) -> None:
        """Add the bytes that come next."""
        if self._index < len(self._lines):
            data = b"\n".join(self._lines[self._index :]) + data
        self._lines = data.split(b"\n")
        self._index = 0

    def next(self) -> Any:
        """Return the next value, or :data:`NEED_DATA`.

        Raises:
            JSONError: The input has an error at this place.  Call again for what comes after.
        """
        while True:
            if self._is_exact:
                value = self._next_exactly()
                if value is not INCOMPLETE:
                    return value
            if self._index == len(self._lines):
                return NEED_DATA
            line = self._lines[self._index]
            self._index += 1
            is_last = self._index == len(self._lines)
            if not self._is_exact:
                value = self._next_quickly(line, is_last=is_last)
                if value is not UNSURE:
                    return value
            self._lexer.feed(line if is_last else line + b"\n")
            self._is_exact = True

    def _next_quickly(self, line: bytes, *, is_last: bool) -> Any:
        if not is_last:
            value = read_line(line)
            if value is not UNSURE:
                self._lexer.pass_over_line()
            return value
        if not line.endswith(b"}"):
            return UNSURE
        value = read_line(line)
        if value is not UNSURE:
            self._lexer.pass_over(len(line))
        return value

    def _next_exactly(self) -> Any:
        lexer, parser = self._lexer, self._parser
        while (token := lexer.next()) is not None:
            value = parser.push(token)
            if value is not INCOMPLETE:
                return value
        self._is_exact = not (lexer.is_between_tokens and parser.is_between_messages)
        return INCOMPLETE


def read_line(line: bytes) -> Any:
    """Read a line that holds one whole value, or say that the exact parser must do it."""
    if not line.isascii() or len(line) > FAST_LINE_LIMIT or b"\\u" in line:
        return UNSURE
    if len(line) > _FLAT_LINE and line.count(b"{") + line.count(b"[") > _FAST_NESTING:
        return UNSURE
    try:
        value = _loads(line)
    except ValueError:
        return UNSURE
    # A key that came twice is one key less than there are colons.  So is a colon in a string; no matter.
    return value if line.count(b":") == _count_keys(value) else UNSURE


def _count_keys(value: Any) -> int:
    if type(value) is dict:
        count = len(value)
        for member in value.values():
            if type(member) is dict or type(member) is list:
                count += _count_keys(member)
        return count
    if type(value) is list:
        return sum(map(_count_keys, value))
    return 0
