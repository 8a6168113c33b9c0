"""Carry out lines."""

import re
from dataclasses import dataclass

from qmpserver.errors import QMPError, error_text
from qmpserver.log import get_logger
from qmpserver.machine.hmp import parameters
from qmpserver.machine.hmp.command import CommandTable, HumanCommand
from qmpserver.machine.hmp.parameters import WrongArguments
from qmpserver.machine.hmp.session import HumanSession

INFO = "info"
"""The command that has commands of its own."""

_NAME = re.compile(r"\s*([^\s/]*)")
_log = get_logger("hmp")


@dataclass(frozen=True, slots=True)
class Tables:
    """All commands.

    Attributes:
        top: Those that are typed first.
        info: Those behind ``info``.
    """

    top: CommandTable
    info: CommandTable


@dataclass(frozen=True, slots=True)
class _Found:
    """A command in a line.

    Attributes:
        command: Which.
        typed: It as it stands there.
        end: Where it ends.
    """

    command: HumanCommand
    typed: str
    end: int


class _Unknown(Exception):
    """Refuse a line whose command there is not."""


async def run_line(tables: Tables, session: HumanSession, line: str) -> str:
    """Carry out a line, and return what there is to say, every line of it ended.

    Nothing is raised: what goes wrong is said.
    """
    if not line.strip():
        return ""
    try:
        found = _find(tables, line)
        arguments = parameters.read(found.command.parameters, found.command.name, line, found.end)
    except _Unknown as unknown:
        return f"unknown command: '{unknown}'\n"
    except WrongArguments as wrong:
        return f'{wrong}\nTry "help {found.typed}" for more information\n'
    try:
        return await found.command.run(session, arguments)
    except Exception as error:  # noqa: BLE001 - here a request ends
        return f"Error: {_reason(found.command, error)}\n"


def _reason(command: HumanCommand, error: Exception) -> str:
    """Say what was wrong; what no command should raise is logged and not shown."""
    match error:
        case QMPError():
            return error.description
        case OSError():
            return error_text(error)
        case _:
            _log.error("command failed", command=command.name, exc_info=error)
            return "internal error"


def _find(tables: Tables, line: str) -> _Found:
    """Find the command of a line.

    Raises:
        _Unknown: There is none.
    """
    name, begin, end = _word(line, 0)
    command = tables.top.find(name)
    if command is None:
        raise _Unknown(name)
    if INFO in command.names and line[end:].strip():
        inner, _, end = _word(line, end)
        command = tables.info.find(inner)
        if command is None:
            raise _Unknown(line[begin:end])
    return _Found(command, line[begin:end], end)


def _word(line: str, position: int) -> tuple[str, int, int]:
    found = _NAME.match(line, position)
    assert found is not None
    return found[1], found.start(1), found.end()


def help_text(tables: Tables, words: str) -> str:
    """Return the help about a command, or about all of them when none is named.

    Args:
        tables: All commands.
        words: The command.
    """
    if not words.strip():
        return "".join(command.help() for command in tables.top.commands)
    name, begin, end = _word(words, 0)
    command = tables.top.find(name)
    if command is None:
        return f"unknown command: '{name}'\n"
    if INFO not in command.names:
        return command.help()
    inner, _, end = _word(words, end)
    if not inner:
        return "".join(each.help(f"{INFO} ") for each in tables.info.commands)
    command = tables.info.find(inner)
    return f"unknown command: '{words[begin:end]}'\n" if command is None else command.help(f"{INFO} ")
