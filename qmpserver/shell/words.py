"""Split a line into words: blanks part them, except inside quotes, and, in the wider reading, inside brackets."""

import re
from dataclasses import dataclass

_WORD = re.compile(r"""(?:[^\s"']|"(?:\\.|[^"])*"|'(?:\\.|[^'])*')+""")

_OPENING = "{["
_CLOSING = "}]"


class LineError(Exception):
    """Report a line that says no request, in one sentence."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word and where it is.

    Attributes:
        text: The word, with its quotes.
        start: The place of its first character in the line.
        is_open: The line ends inside its quotes or brackets.
    """

    text: str
    start: int
    is_open: bool = False


def split_narrowly(line: str) -> list[str]:
    """Split as ``qmp-shell`` does, where brackets do not hold blanks together.

    Raises:
        LineError: A quote is not closed.
    """
    if _WORD.sub("", line).strip():
        raise LineError("A quote is not closed")
    return _WORD.findall(line)


def split_widely(line: str) -> list[Word]:
    """Split so that an object or list may have blanks in it."""
    words: list[Word] = []
    position = 0
    while position < len(line):
        if line[position].isspace():
            position += 1
            continue
        word = _wide_word(line, position)
        words.append(word)
        position += len(word.text)
    return words


def _wide_word(line: str, start: int) -> Word:
    depth, quote, position = 0, "", start
    while position < len(line):
        character = line[position]
        if quote:
            if character == "\\":
                position += 1
            elif character == quote:
                quote = ""
        elif character in "\"'":
            quote = character
        elif character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth = max(0, depth - 1)
        elif character.isspace() and depth == 0:
            break
        position += 1
    return Word(line[start:position], start, is_open=bool(quote) or depth > 0)
