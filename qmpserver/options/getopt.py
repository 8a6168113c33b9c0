"""Split a command line into options, in the manner and with the words of ``getopt_long``.

Options and stray words come out in the order they were written.  A long name may be cut short
where that leaves it unique; ``--`` ends the options, and what follows is not looked at unless the
program takes operands.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

STRAY = ""
"""The name of a word that is no option."""


class UsageError(Exception):
    """Report an option that does not exist, or is used wrongly, in one sentence."""


class OptionTable(NamedTuple):
    """The options of a program.

    Attributes:
        long: Every long name without its dashes, and whether it takes an argument.
        short: The long name behind each letter.
        takes_operands: Words that are no options mean something, also those behind ``--``.
        negative_operand: Which operand, counted from 0, may be a negative number, which then is no option.
    """

    long: Mapping[str, bool]
    short: Mapping[str, str]
    takes_operands: bool = False
    negative_operand: int | None = None


class Option(NamedTuple):
    """One option as given.

    Attributes:
        name: Its whole long name, or STRAY.
        value: Its argument; the empty string when it takes none.
        written: How it stood on the command line, to name it in a message.
    """

    name: str
    value: str
    written: str


def split(table: OptionTable, words: Sequence[str]) -> Iterator[Option]:
    """Go through the options of a command line.

    Raises:
        UsageError: At the first word that is wrong; those before it have come out.
    """
    rest, strays = iter(words), 0
    for word in rest:
        if word == "--":
            if table.takes_operands:
                yield from (Option(STRAY, operand, operand) for operand in rest)
            return
        if word.startswith("--"):
            yield _long_option(table, word, rest)
        elif word.startswith("-") and word != "-" and not _is_negative(table, word, strays):
            yield from _short_options(table, word, rest)
        else:
            strays += 1
            yield Option(STRAY, word, word)


def _is_negative(table: OptionTable, word: str, strays: int) -> bool:
    return strays == table.negative_operand and word[1] in "0123456789"


def _long_option(table: OptionTable, word: str, rest: Iterator[str]) -> Option:
    given, equals, value = word[2:].partition("=")
    name = _whole_name(table, given, word)
    if not table.long[name]:
        if equals:
            raise UsageError(f"option '--{name}' doesn't allow an argument")
        return Option(name, "", word)
    if equals:
        return Option(name, value, word)
    return _with_argument(name, f"option '--{name}' requires an argument", word, rest)


def _whole_name(table: OptionTable, given: str, word: str) -> str:
    if given in table.long:
        return given
    fitting = [name for name in table.long if name.startswith(given)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise UsageError(f"unrecognized option '{word}'")
    possibilities = " ".join(f"'--{name}'" for name in fitting)
    raise UsageError(f"option '{word}' is ambiguous; possibilities: {possibilities}")


def _short_options(table: OptionTable, word: str, rest: Iterator[str]) -> Iterator[Option]:
    for index, letter in enumerate(word[1:], start=2):
        name = table.short.get(letter)
        if name is None:
            raise UsageError(f"invalid option -- '{letter}'")
        if not table.long[name]:
            yield Option(name, "", word)
        elif word[index:]:
            yield Option(name, word[index:], word)
            return
        else:
            yield _with_argument(name, f"option requires an argument -- '{letter}'", word, rest)


def _with_argument(name: str, complaint: str, word: str, rest: Iterator[str]) -> Option:
    value = next(rest, None)
    if value is None:
        raise UsageError(complaint)
    return Option(name, value, f"{word} {value}")
