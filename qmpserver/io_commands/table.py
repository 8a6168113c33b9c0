"""Know commands by name, and describe them."""

from collections.abc import Iterable

from qmpserver.io_commands import breakpoints, control, extent, info, reading, reopening, writing, zones
from qmpserver.io_commands.command import Command, Complaint, Words
from qmpserver.io_commands.session import Session


class Table:
    """Commands, and ``help`` about them.

    Args:
        commands: All others.
    """

    def __init__(self, commands: Iterable[Command]) -> None:
        own = Command(
            "help",
            self._help,
            "describes one command, or names all",
            alias="?",
            arguments="[command]",
            most=1,
            needs_image=False,
        )
        self._all = sorted([own, *commands], key=lambda each: each.name)

    def find(self, name: str) -> Command | None:
        """Return the command of that name, which may be its short one."""
        return next((command for command in self._all if name in {command.name, command.alias}), None)

    async def _help(self, session: Session, words: Words) -> None:
        if not words.operands:
            for command in self._all:
                session.say(command.usage(command.name))
            session.say("\nUse 'help commandname' for extended help.")
            return
        name = words.operands[0]
        found = self.find(name)
        if found is None:
            raise Complaint(f"command {name} not found")
        session.say(found.usage(name))
        if found.help:
            session.say(f"\n{found.help}")


_MODULES = (breakpoints, control, extent, info, reading, reopening, writing, zones)

COMMANDS = tuple(command for module in _MODULES for command in module.COMMANDS)
"""All commands about an image that is open."""
