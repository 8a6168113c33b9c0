r"""Cut bytes into the tokens of QEMU's JSON dialect, however the bytes arrive.

The dialect is RFC 8259 with these differences, each observed on QEMU 11.1:

* strings may stand in single quotes, and ``\'`` is an escape;
* a keyword is any run of ``a``-``z``; a number or keyword ends at the first byte that cannot go on,
  and that byte begins the next token;
* a byte that no token can begin or go on with makes everything since the token began *stray*, and
  everything up to a control byte other than a tab, 0xFE, 0xFF or one of ``[]{},:`` is passed over.

QEMU: a zero with an exponent (``0e1``) is no number to it; RFC 8259 has it, and it is one here.

What a token means is the parser's business; escapes and UTF-8 inside strings are not looked at here.
"""

import enum
import re
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_TOKEN_SIZE = 64 << 20
"""A token of this many bytes is refused, as QEMU's lexer refuses it."""


class TokenKind(enum.Enum):
    """What a token is."""

    PUNCTUATION = enum.auto()
    STRING = enum.auto()
    NUMBER = enum.auto()
    KEYWORD = enum.auto()
    STRAY = enum.auto()
    """No token: bytes that cannot be one."""
    TOO_LONG = enum.auto()
    """No token: one that grew past :data:`MAX_TOKEN_SIZE`."""


class Token(NamedTuple):
    """A piece of the input.

    Attributes:
        kind: What it is.
        text: Its bytes, quotes included.
        line: The line it began on, counted from 1 since the connection was made.
        column: The byte of the line it began at, counted from 1 as QEMU counts (see :class:`Lexer`).
    """

    kind: TokenKind
    text: bytes
    line: int
    column: int


@dataclass(eq=False, slots=True)
class _State:
    """Where the lexer is inside a token.

    Attributes:
        stay: Matches the bytes that change nothing.
        go: The next state by byte; such a byte belongs to the token.
        ends: What the token is when any other byte comes, which is not part of it.  None: it is stray.
    """

    stay: re.Pattern[bytes]
    ends: TokenKind | None = None
    go: "dict[int, _State]" = field(default_factory=dict)


_NOTHING = re.compile(rb"")
_DIGITS = re.compile(rb"[0-9]*+")

_IN_DOUBLE = _State(re.compile(rb'(?:[^"\\\x00-\x1f\xfe\xff]++|\\[\x20-\xfd])*+'))
_IN_SINGLE = _State(re.compile(rb"(?:[^'\\\x00-\x1f\xfe\xff]++|\\[\x20-\xfd])*+"))
_ESCAPE_IN_DOUBLE, _ESCAPE_IN_SINGLE = _State(_NOTHING), _State(_NOTHING)
_STRING_ENDED = _State(_NOTHING, TokenKind.STRING)
_MINUS, _POINT, _EXPONENT_MARK, _EXPONENT_SIGN = (_State(_NOTHING) for _ in range(4))
_ZERO = _State(_NOTHING, TokenKind.NUMBER)
_INTEGER, _FRACTION, _EXPONENT = (_State(_DIGITS, TokenKind.NUMBER) for _ in range(3))
_KEYWORD = _State(re.compile(rb"[a-z]*+"), TokenKind.KEYWORD)
_RECOVERY = _State(re.compile(rb"[^\x00-\x08\x0a-\x1f\xfe\xff\[\]{},:]*+"), TokenKind.STRAY)


def _on(state: _State, *ways: tuple[bytes | range, _State]) -> None:
    state.go = {byte: target for found, target in ways for byte in found}


_on(_IN_DOUBLE, (b'"', _STRING_ENDED), (b"\\", _ESCAPE_IN_DOUBLE))
_on(_IN_SINGLE, (b"'", _STRING_ENDED), (b"\\", _ESCAPE_IN_SINGLE))
_on(_ESCAPE_IN_DOUBLE, (range(0x20, 0xFE), _IN_DOUBLE))
_on(_ESCAPE_IN_SINGLE, (range(0x20, 0xFE), _IN_SINGLE))
_on(_MINUS, (b"0", _ZERO), (b"123456789", _INTEGER))
# Another digit would be stray: a way to a state that nothing leads on from.
_LEADING_ZERO = _State(_NOTHING, TokenKind.STRAY)
_on(_ZERO, (b".", _POINT), (b"eE", _EXPONENT_MARK), (b"0123456789", _LEADING_ZERO))
_on(_INTEGER, (b".", _POINT), (b"eE", _EXPONENT_MARK))
_on(_POINT, (b"0123456789", _FRACTION))
_on(_FRACTION, (b"eE", _EXPONENT_MARK))
_on(_EXPONENT_MARK, (b"+-", _EXPONENT_SIGN), (b"0123456789", _EXPONENT))
_on(_EXPONENT_SIGN, (b"0123456789", _EXPONENT))

_START = _State(_NOTHING)
_on(
    _START,
    (b'"', _IN_DOUBLE),
    (b"'", _IN_SINGLE),
    (b"-", _MINUS),
    (b"0", _ZERO),
    (b"123456789", _INTEGER),
    (b"abcdefghijklmnopqrstuvwxyz", _KEYWORD),
)

_WHITESPACE_AND_TOKEN = re.compile(
    rb"""[ \t\r\n]*+ (?:
        ( [{}\[\]:,] )
      | ( "(?:[^"\\\x00-\x1f\xfe\xff]++|\\[\x20-\xfd])*+" | '(?:[^'\\\x00-\x1f\xfe\xff]++|\\[\x20-\xfd])*+' )
      | ( -?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)? ) (?=[^0-9.eE])
      | ( [a-z]++ ) (?=[^a-z])
    )?""",
    re.VERBOSE,
)
"""A token that is whole within the data; the common case, at one call per token."""

_WHOLE_KINDS = (TokenKind.PUNCTUATION, TokenKind.STRING, TokenKind.NUMBER, TokenKind.KEYWORD)


class Lexer:
    """Take bytes and give tokens.

    Each byte is looked at a bounded number of times, and no more than one token is kept.

    A token's column is that of its first byte.  QEMU: it is one more where that byte also ended the
    token before (``[12}``: column 5 for the brace); clients see it in error texts, so it is kept.
    """

    def __init__(self) -> None:
        self._data = b""
        self._offset = 0
        self._line = 1
        self._line_start = 0  # offset in _data, negative when the line began in data before
        self._state = _START
        self._partial = bytearray()
        self._began_at = (1, 1)
        self._looked_ahead_at = -1

    @property
    def is_between_tokens(self) -> bool:
        """Whether all bytes were taken and no token is under way."""
        return self._state is _START and self._offset == len(self._data)

    @property
    def is_exhausted(self) -> bool:
        """Whether only new bytes can bring another token."""
        return self._offset == len(self._data)

    def feed(self, data: bytes) -> None:
        """Hand over the bytes that come next; those before must have been exhausted."""
        self._line_start -= len(self._data)
        self._data, self._offset, self._looked_ahead_at = data, 0, -1

    def pass_over(self, length: int) -> None:
        """Count bytes of one line, none of them a newline, that were dealt with elsewhere."""
        self._line_start -= length

    def pass_over_line(self) -> None:
        """Count a newline that ended a line which was dealt with elsewhere."""
        self._line += 1
        self._line_start = self._offset

    def next(self) -> Token | None:
        """Return the next token, or None when more bytes are needed."""
        while self._offset < len(self._data):
            token = self._begin() if self._state is _START else self._go_on()
            if token is not None:
                return token
        return None

    def _begin(self) -> Token | None:
        """Take a whole token, or the first byte of one that is not whole or not right."""
        data, start = self._data, self._offset
        match = _WHITESPACE_AND_TOKEN.match(data, start)
        assert match is not None
        group = match.lastindex
        token_start = match.start(group) if group else match.end()
        if token_start > start:
            self._count_newlines(start, token_start)
        self._offset = match.end()
        if group:
            line, column = self._place(token_start)
            if self._offset - token_start >= MAX_TOKEN_SIZE:
                return self._too_long((line, column))
            if group > 2:
                self._looked_ahead_at = self._offset
            return Token(_WHOLE_KINDS[group - 1], match[group], line, column)
        if token_start == len(data):
            return None
        self._began_at = self._place(token_start)
        self._partial.clear()
        state = _START.go.get(data[token_start])
        if state is None:
            return self._stray()
        self._state = state
        self._partial.append(data[token_start])
        self._offset += 1
        return None

    def _go_on(self) -> Token | None:
        """Take what follows in a token that was begun."""
        state, data = self._state, self._data
        match = state.stay.match(data, self._offset)
        assert match is not None
        end = match.end()
        if state is not _RECOVERY:
            self._partial += data[self._offset : end]
        self._offset = end
        if len(self._partial) >= MAX_TOKEN_SIZE:
            return self._too_long(self._began_at)
        if end == len(data):
            return None
        following = state.go.get(data[end])
        if following is None:
            return self._end(state)
        self._partial.append(data[end])
        self._offset += 1
        return self._enter(following)

    def _enter(self, state: _State) -> Token | None:
        if len(self._partial) >= MAX_TOKEN_SIZE:
            return self._too_long(self._began_at)
        if state is _STRING_ENDED:
            self._state = _START
            return Token(TokenKind.STRING, bytes(self._partial), *self._began_at)
        if state is _LEADING_ZERO:
            self._state = _RECOVERY
            return Token(TokenKind.STRAY, bytes(self._partial), *self._began_at)
        self._state = state
        return None

    def _end(self, state: _State) -> Token | None:
        """A byte came that does not belong to the token."""
        if state.ends is None:
            return self._stray()
        self._state = _START
        self._looked_ahead_at = self._offset
        if state is _RECOVERY:
            return None
        return Token(state.ends, bytes(self._partial), *self._began_at)

    def _stray(self) -> Token:
        """Give up the token, the byte that spoils it included."""
        self._partial.append(self._data[self._offset])
        self._count_newlines(self._offset, self._offset + 1)
        self._offset += 1
        self._state = _RECOVERY
        return Token(TokenKind.STRAY, bytes(self._partial), *self._began_at)

    def _too_long(self, began_at: tuple[int, int]) -> Token:
        """Give up the token and, as far as it can be told, what remains of it.

        QEMU: it begins a new token right there, and so answers the rest of a long string with errors.
        """
        self._partial = bytearray()
        self._state = _RECOVERY
        return Token(TokenKind.TOO_LONG, b"", *began_at)

    def _place(self, offset: int) -> tuple[int, int]:
        column = offset - self._line_start + 1
        return self._line, column + 1 if offset == self._looked_ahead_at else column

    def _count_newlines(self, start: int, end: int) -> None:
        newlines = self._data.count(b"\n", start, end)
        if newlines:
            self._line += newlines
            self._line_start = self._data.rfind(b"\n", start, end) + 1
