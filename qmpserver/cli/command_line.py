"""Describe and read the options of a subcommand, and end it in words."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, Protocol

from qmpserver.cli.reports import Reporter
from qmpserver.options.getopt import STRAY, OptionTable, split


class Tool(NamedTuple):
    """The program as it was called.

    Attributes:
        name: What stands before each message.
        invoked: How it was called, to say what to type for help.
        command: The subcommand.
    """

    name: str
    invoked: str
    command: str

    @property
    def reporter(self) -> Reporter:
        """Where messages go."""
        return Reporter(self.name)


class Failure(Exception):
    """End the subcommand with a message.

    Args:
        message: What is wrong.
        status: The exit status.
        hint: Point to the help as well.
        below: What is said below the message.
    """

    def __init__(self, message: str, *, status: int = 1, hint: bool = False, below: str = "") -> None:
        super().__init__(message)
        self.message = f"{message}\n{below}" if below else message
        self.status = status
        self.hint = hint


class Answer(Exception):
    """End the subcommand with a text that was asked for."""


class Given:
    """What stood on the command line.

    Attributes:
        tool: The program as it was called.
        values: Every value of each option, in the order given, by long name.
        operands: The words that are no options.
        order: Long name and value of every option, in the order given.
    """

    def __init__(self, tool: Tool, values: dict[str, list[str]] | None = None) -> None:
        self.tool = tool
        self.values = values or {}
        self.operands: list[str] = []
        self.order: list[tuple[str, str]] = []

    def has(self, name: str) -> bool:
        """Say whether an option was given."""
        return name in self.values

    def last(self, name: str) -> str | None:
        """Return an option's last value, or None."""
        values = self.values.get(name)
        return values[-1] if values else None

    def get(self, name: str, default: str) -> str:
        """Return an option's last value, be it empty, or a default when it was not given."""
        values = self.values.get(name)
        return values[-1] if values else default

    def all(self, name: str) -> list[str]:
        """Return all values of an option."""
        return self.values.get(name, [])

    @property
    def wants_json(self) -> bool:
        """Whether ``--output`` asks for JSON.

        Raises:
            Failure: It asks for something that there is not.
        """
        for wanted in self.all("output"):
            if wanted not in {"human", "json"}:
                raise Failure(f"--output expects 'human' or 'json', not '{wanted}'", hint=True)
        return self.last("output") == "json"


class Subcommand(Protocol):
    """A subcommand's module."""

    OPTIONS: OptionTable
    HELP: str
    run: Callable[[Given], Coroutine[Any, Any, int]]


def table(short: str, names: Mapping[str, bool]) -> OptionTable:
    """Make a table of options.

    Args:
        short: Pairs ``letter=long-name``, separated by blanks.
        names: Every long name, and whether it takes an argument; `help` and `object` are added.
    """
    letters = dict(pair.split("=") for pair in short.split())
    return OptionTable(
        {"help": False, "object": True, **names}, {"h": "help", **letters}, takes_operands=True
    )


def read(tool: Tool, options: OptionTable, words: Sequence[str]) -> Given:
    """Read a command line.

    Raises:
        UsageError: An option does not exist or is used wrongly.
    """
    given = Given(tool)
    for option in split(options, words):
        if option.name == "help":
            given.values["help"] = [""]
            return given
        if option.name == STRAY:
            given.operands.append(option.value)
        else:
            given.values.setdefault(option.name, []).append(option.value)
            given.order.append((option.name, option.value))
    return given


def refuse_both(given: Given, first: str, second: str) -> None:
    """Refuse two options that contradict each other.

    Raises:
        Failure: Both are given.
    """
    if given.has(first) and given.has(second):
        raise Failure(f"--{first} and --{second} are mutually exclusive")


def expecting(what: str) -> NoReturn:
    """Say that operands are missing or too many."""
    raise Failure(f"Expecting {what}", hint=True)
