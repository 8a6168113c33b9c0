"""Add tokens up to values, and name the first one that does not fit.

An error is raised when the wrong token comes, not when the message ends.  What remains of the
message is then passed over, up to where its braces and brackets are level again.
"""

import enum
from typing import Any, Final

from qmpserver.qmp.lexer import MAX_TOKEN_SIZE, Token, TokenKind
from qmpserver.qmp.literals import LiteralError, read_number, read_string, show

MAX_NESTING = 1024
MAX_TOKENS = 2 << 20
MAX_SIZE = MAX_TOKEN_SIZE
"""Limits on one message, as in QEMU; the last is on the bytes of its tokens together."""

_KEYWORDS: Final[dict[bytes, Any]] = {b"true": True, b"false": False, b"null": None}


class JSONError(Exception):
    """Say what is wrong with the input.

    Attributes:
        description: The text QEMU has for it, with the place in the input where QEMU says it.
    """

    def __init__(self, description: str) -> None:
        super().__init__(description)
        self.description = description


class _Expect(enum.Enum):
    """What may come next."""

    VALUE = enum.auto()
    VALUE_OR_END = enum.auto()
    KEY = enum.auto()
    KEY_OR_END = enum.auto()
    COLON = enum.auto()
    COMMA_OR_END = enum.auto()


class _Incomplete:
    """The type of :data:`INCOMPLETE`."""


INCOMPLETE: Final = _Incomplete()
"""What :meth:`Parser.push` returns while a message is not complete."""


class Parser:
    """Build one value after another from tokens, without recursion."""

    def __init__(self) -> None:
        self._stack: list[dict[str, Any] | list[Any]] = []
        self._keys: list[str] = []
        self._restart()

    def _restart(self) -> None:
        self._stack.clear()
        self._keys.clear()
        self._expect = _Expect.VALUE
        self._braces = self._brackets = self._tokens = self._size = 0
        self._is_passing_over = False

    @property
    def is_between_messages(self) -> bool:
        """Whether the next token begins a message."""
        return self._tokens == 0

    def push(self, token: Token) -> Any:
        """Take the next token.

        Returns:
            The value that it completes, or :data:`INCOMPLETE`.

        Raises:
            JSONError: It does not fit, or the message is past a limit.  The rest of the message will
                be passed over.
        """
        if token.kind is TokenKind.STRAY or token.kind is TokenKind.TOO_LONG:
            return self._refuse(token)
        self._count(token)
        try:
            if self._is_passing_over:
                return INCOMPLETE
            self._check_limits()
            return self._advance(token)
        except JSONError:
            self._is_passing_over = True
            raise
        finally:
            self._end_if_level()

    def _refuse(self, token: Token) -> _Incomplete:
        """Give up the message for bytes that are no token; say so unless it was given up before."""
        was_passing_over = self._is_passing_over
        self._restart()
        if was_passing_over:
            return INCOMPLETE
        if token.kind is TokenKind.TOO_LONG:
            raise JSONError("JSON token size limit exceeded")
        raise _error(token, f"stray '{show(token.text)}'")

    def _count(self, token: Token) -> None:
        self._tokens += 1
        self._size += len(token.text)
        match token.text:
            case b"{":
                self._braces += 1
            case b"}":
                self._braces -= 1
            case b"[":
                self._brackets += 1
            case b"]":
                self._brackets -= 1

    def _check_limits(self) -> None:
        if self._tokens > MAX_TOKENS:
            raise JSONError("JSON token count limit exceeded")
        if self._size > MAX_SIZE:
            raise JSONError("JSON token size limit exceeded")
        if self._braces + self._brackets > MAX_NESTING:
            raise JSONError("JSON nesting depth limit exceeded")

    def _end_if_level(self) -> None:
        """Expect a new message where this one ends, well or badly."""
        if self._braces < 0 or self._brackets < 0 or self._braces == self._brackets == 0:
            self._restart()

    def _advance(self, token: Token) -> Any:
        expect = self._expect
        if expect is _Expect.COMMA_OR_END:
            return self._separator(token)
        if expect is _Expect.COLON:
            if token.text != b":":
                raise _error(token, "expecting ':'")
            self._expect = _Expect.VALUE
            return INCOMPLETE
        if expect is _Expect.KEY or expect is _Expect.KEY_OR_END:
            return self._key(token)
        return self._value(token)

    def _key(self, token: Token) -> Any:
        if token.kind is TokenKind.STRING:
            self._keys.append(_string(token))
            self._expect = _Expect.COLON
            return INCOMPLETE
        if token.text == b"}" and self._expect is _Expect.KEY_OR_END:
            return self._complete(self._stack.pop(), token)
        raise _error(token, "expecting key")

    def _value(self, token: Token) -> Any:
        if token.kind is TokenKind.STRING:
            return self._complete(_string(token), token)
        if token.kind is TokenKind.NUMBER:
            return self._complete(read_number(token.text), token)
        if token.kind is TokenKind.KEYWORD:
            if token.text not in _KEYWORDS:
                raise _error(token, f"invalid keyword '{show(token.text)}'")
            return self._complete(_KEYWORDS[token.text], token)
        if token.text == b"{":
            self._stack.append({})
            self._expect = _Expect.KEY_OR_END
        elif token.text == b"[":
            self._stack.append([])
            self._expect = _Expect.VALUE_OR_END
        elif token.text == b"]" and self._expect is _Expect.VALUE_OR_END:
            return self._complete(self._stack.pop(), token)
        else:
            raise _error(token, "expecting value")
        return INCOMPLETE

    def _separator(self, token: Token) -> Any:
        is_object = type(self._stack[-1]) is dict
        end = b"}" if is_object else b"]"
        if token.text == b",":
            self._expect = _Expect.KEY if is_object else _Expect.VALUE
            return INCOMPLETE
        if token.text == end:
            return self._complete(self._stack.pop(), token)
        raise _error(token, f"expected ',' or '{end.decode()}'")

    def _complete(self, value: Any, token: Token) -> Any:
        """Put a whole value where it belongs; the outermost is the message."""
        if not self._stack:
            return value
        container = self._stack[-1]
        self._expect = _Expect.COMMA_OR_END
        if isinstance(container, list):
            container.append(value)
            return INCOMPLETE
        key = self._keys.pop()
        if key in container:
            raise _error(token, "duplicate key")
        container[key] = value
        return INCOMPLETE


def _string(token: Token) -> str:
    try:
        return read_string(token.text)
    except LiteralError as error:
        raise _error(token, str(error)) from None


def _error(token: Token, what: str) -> JSONError:
    return JSONError(f"{token.line}:{token.column}: JSON parse error, {what}")
