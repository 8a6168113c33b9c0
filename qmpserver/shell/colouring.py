"""Tell which part of a line is what, so that it can be coloured."""

import re
from collections.abc import Collection, Iterator
from enum import Enum

from qmpserver.shell.words import Word, split_widely

_WORDS_OF_OWN = ("help", "exit", "transaction(", ")")

_VALUE = re.compile(
    r"""(?P<string>"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?)|(?P<punctuation>[{}\[\]:,]+)|(?P<bare>[^\s{}\[\]:,"']+)|\s+"""
)
_CONSTANT = re.compile(r"-?\d+$|true$|false$|null$|none$", re.IGNORECASE)


class Part(Enum):
    """What a piece of a line is; the value is its style's name."""

    COMMAND = "command"
    UNKNOWN = "unknown"
    KEY = "key"
    PUNCTUATION = "punctuation"
    CONSTANT = "constant"
    TEXT = "text"
    BLANK = ""


def parts(
    line: str, commands: Collection[str], *, in_transaction: bool = False
) -> Iterator[tuple[Part, str]]:
    """Cut a line into pieces, which together are the line.

    Args:
        line: What is typed.
        commands: What the server knows; when it is empty every command is taken for known.
        in_transaction: The first word is an action.
    """
    position = 0
    for index, word in enumerate(split_widely(line)):
        if word.start > position:
            yield Part.BLANK, line[position : word.start]
        position = word.start + len(word.text)
        if word.text.startswith("{"):
            yield from _json(word.text)
        elif index == 0 or word.text in _WORDS_OF_OWN:
            is_known = in_transaction or not commands or word.text in commands or word.text in _WORDS_OF_OWN
            yield (Part.COMMAND if is_known else Part.UNKNOWN), word.text
        else:
            yield from _argument(word)
    if position < len(line):
        yield Part.BLANK, line[position:]


def _argument(word: Word) -> Iterator[tuple[Part, str]]:
    key, equals, value = word.text.partition("=")
    yield Part.KEY, key
    if equals:
        yield Part.PUNCTUATION, equals
    if value.startswith(("{", "[")):
        yield from _json(value)
    elif value:
        yield (Part.CONSTANT if _CONSTANT.match(value) else Part.TEXT), value


def _json(text: str) -> Iterator[tuple[Part, str]]:
    for found in _VALUE.finditer(text):
        piece = found.group()
        match found.lastgroup:
            case "string":
                is_key = text[found.end() :].lstrip().startswith(":")
                yield (Part.KEY if is_key else Part.TEXT), piece
            case "punctuation":
                yield Part.PUNCTUATION, piece
            case "bare":
                yield (Part.CONSTANT if _CONSTANT.match(piece) else Part.TEXT), piece
            case _:
                yield Part.BLANK, piece
