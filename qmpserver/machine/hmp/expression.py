"""Work out the numbers that are typed, which may be expressions as in C; no I/O.

A number is taken as 64 bits with a sign.  Names of registers are refused: there is no processor.
"""

import re
from collections.abc import Callable

from qmpserver.errors import QMPError
from qmpserver.numerals import decimal

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")
_BITS = 64
_SUMS: dict[str, Callable[[int, int], int]] = {"+": lambda a, b: a + b, "-": lambda a, b: a - b}
_BITWISE: dict[str, Callable[[int, int], int]] = {
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
}


def wrap(value: int) -> int:
    """Return a value as 64 bits with a sign hold it."""
    value &= (1 << _BITS) - 1
    return value - (1 << _BITS) if value >> (_BITS - 1) else value


def evaluate(text: str, position: int) -> tuple[int, int]:
    """Work out an expression.

    Args:
        text: Where it stands.
        position: Where it begins.

    Returns:
        Its value, and where it ends; blanks after it belong to it.

    Raises:
        QMPError: It is none.
    """
    reader = _Reader(text, position)
    try:
        value = reader.total()
    except RecursionError as error:
        raise QMPError("expression is nested too deeply") from error
    return value, reader.position


class _Reader:
    def __init__(self, text: str, position: int) -> None:
        self._text = text
        self.position = position
        self._skip_blanks()

    @property
    def _next(self) -> str:
        return self._text[self.position : self.position + 1]

    def _skip_blanks(self) -> None:
        while self._next.isspace():
            self.position += 1

    def _advance(self) -> None:
        self.position += 1
        self._skip_blanks()

    # From what binds least to what binds most

    def total(self) -> int:
        value = self._bits()
        while self._next and self._next in _SUMS:
            combine = _SUMS[self._next]
            self._advance()
            value = wrap(combine(value, self._bits()))
        return value

    def _bits(self) -> int:
        value = self._product()
        while self._next and self._next in _BITWISE:
            combine = _BITWISE[self._next]
            self._advance()
            value = wrap(combine(value, self._product()))
        return value

    def _product(self) -> int:
        value = self._unary()
        while (sign := self._next) and sign in "*/%":
            self._advance()
            right = self._unary()
            if sign == "*":
                value = wrap(value * right)
                continue
            if not right:
                raise QMPError("division by zero")
            quotient = abs(value) // abs(right) * (1 if (value < 0) == (right < 0) else -1)
            value = wrap(quotient if sign == "/" else value - quotient * right)
        return value

    def _unary(self) -> int:
        match self._next:
            case "":
                raise QMPError("unexpected end of expression")
            case "+":
                self._advance()
                return self._unary()
            case "-":
                self._advance()
                return wrap(-self._unary())
            case "~":
                self._advance()
                return ~self._unary()
            case "(":
                return self._parenthesis()
            case "'":
                return self._character()
            case "$":
                raise QMPError("unknown register")
        return self._number()

    def _parenthesis(self) -> int:
        self._advance()
        value = self.total()
        if self._next != ")":
            raise QMPError("')' expected")
        self._advance()
        return value

    def _character(self) -> int:
        self.position += 1
        character = self._next
        if not character:
            raise QMPError("character constant expected")
        self.position += 1
        if self._next != "'":
            raise QMPError("missing terminating ' character")
        self._advance()
        return ord(character)

    def _number(self) -> int:
        found = _NUMBER.match(self._text, self.position)
        if found is None:
            raise QMPError(f"invalid char '{self._next}' in expression")
        digits = found.group()
        if digits[:2] in ("0x", "0X"):
            value, end = int(digits, 16), found.end()
        elif digits.startswith("0"):
            # As C reads it: what is no octal digit ends the number.
            octal = re.match("[0-7]+", digits)
            assert octal is not None
            value, end = int(octal.group(), 8), found.start() + octal.end()
        else:
            value, end = decimal(digits), found.end()
        if value >> _BITS:
            raise QMPError("number too large")
        self.position = end
        self._skip_blanks()
        return wrap(value)
