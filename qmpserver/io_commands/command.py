"""Describe a command, and read the words it is given."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from qmpserver.io_commands.session import Session
from qmpserver.options.getopt import STRAY, OptionTable, UsageError, split


class Complaint(Exception):
    """End a command with a line on standard output; without one, it has said what there is to say."""


class Remark(Exception):
    """End a command with a line on standard error."""


class WrongUse(Exception):
    """End a command with a line that says how it is typed."""


@dataclass(slots=True)
class Words:
    """What stood after a command.

    Attributes:
        options: Every value of each option, by its letter.
        operands: The words that are no options.
    """

    options: dict[str, list[str]] = field(default_factory=dict)
    operands: list[str] = field(default_factory=list)

    def has(self, letter: str) -> bool:
        """Say whether an option was given."""
        return letter in self.options

    def last(self, letter: str) -> str | None:
        """Return an option's last value, or None."""
        values = self.options.get(letter)
        return values[-1] if values else None

    def exactly(self, count: int) -> list[str]:
        """Return the operands, of which there must be so many.

        Raises:
            WrongUse: There are not.
        """
        if len(self.operands) != count:
            raise WrongUse
        return self.operands

    def at_least(self, count: int) -> list[str]:
        """Return the operands, of which there must be so many or more.

        Raises:
            WrongUse: There are fewer.
        """
        if len(self.operands) < count:
            raise WrongUse
        return self.operands


@dataclass(frozen=True, slots=True)
class Command:
    """A command.

    Attributes:
        name: Its name.
        run: What it does.
        summary: One line about it.
        alias: A shorter name.
        arguments: What it takes, as it is typed.
        letters: Its options; a colon follows each that takes a value.  None: every word is an operand.
        least: The fewest words it takes, options included.
        most: The most, or None for any number.
        help: More about it.
        needs_image: An image has to be open.
        writes: The image has to be writable.
    """

    name: str
    run: Callable[[Session, Words], Awaitable[None]]
    summary: str
    alias: str | None = None
    arguments: str | None = None
    letters: str | None = None
    least: int = 0
    most: int | None = 0
    help: str = ""
    needs_image: bool = True
    writes: bool = False

    def usage(self, called: str) -> str:
        """Return the line that says how it is typed, under the name it was called by."""
        arguments = "" if self.arguments is None else f" {self.arguments}"
        return f"{called}{arguments} -- {self.summary}"

    def check_count(self, called: str, words: list[str]) -> None:
        """Look how many words follow it, under the name it was called by.

        Raises:
            Remark: They are too many, or too few.
        """
        if len(words) < self.least or (self.most is not None and len(words) > self.most):
            raise Remark(
                f"bad argument count {len(words)} to {called}, expected {self._expected()} arguments"
            )

    def read(self, words: list[str]) -> Words:
        """Read the words that follow it.

        Raises:
            UsageError: An option does not exist, or lacks its value.
        """
        if self.letters is None:
            return Words(operands=words)
        read = Words()
        for option in split(_option_table(self.letters), _without_long_options(words)):
            if option.name == STRAY:
                read.operands.append(option.value)
            else:
                read.options.setdefault(option.name, []).append(option.value)
        return read

    def _expected(self) -> str:
        if self.most is None:
            return f"at least {self.least}"
        return str(self.least) if self.least == self.most else f"between {self.least} and {self.most}"


def _option_table(letters: str) -> OptionTable:
    takes_value = {
        letter: letters[index : index + 1] == ":"
        for index, letter in enumerate(letters, start=1)
        if letter != ":"
    }
    return OptionTable(takes_value, {letter: letter for letter in takes_value}, takes_operands=True)


def _without_long_options(words: list[str]) -> list[str]:
    """Refuse words that begin with two dashes: to a command, a dash is one more letter."""
    before = words[: words.index("--")] if "--" in words else words
    if any(word.startswith("--") for word in before):
        raise UsageError("invalid option -- '-'")
    return words
