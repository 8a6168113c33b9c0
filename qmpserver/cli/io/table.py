"""Know all commands."""

from qmpserver.cli.io import (
    breakpoints,
    control,
    extent,
    info,
    opening,
    reading,
    reopening,
    writing,
    zones,
)
from qmpserver.cli.io.command import Command, Complaint, Words
from qmpserver.cli.io.session import Session


async def _help(session: Session, words: Words) -> None:
    del session
    if not words.operands:
        for command in _ALL:
            print(command.usage(command.name))
        print("\nUse 'help commandname' for extended help.")
        return
    name = words.operands[0]
    found = find(name)
    if found is None:
        raise Complaint(f"command {name} not found")
    print(found.usage(name))
    if found.help:
        print(f"\n{found.help}")


_HELP = Command(
    "help",
    _help,
    "describes one command, or names all",
    alias="?",
    arguments="[command]",
    most=1,
    needs_image=False,
)

_MODULES = (breakpoints, control, extent, info, opening, reading, reopening, writing, zones)

_ALL = sorted(
    [_HELP, *(command for module in _MODULES for command in module.COMMANDS)], key=lambda each: each.name
)


def find(name: str) -> Command | None:
    """Return the command of that name, which may be its short one."""
    return next((command for command in _ALL if name in {command.name, command.alias}), None)
