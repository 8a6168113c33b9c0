"""Describe a command."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from qmpserver.machine.hmp.parameters import Parameter
from qmpserver.machine.hmp.session import HumanSession

Arguments = Mapping[str, Any]
Function = Callable[[HumanSession, Arguments], Awaitable[str]]
"""Carries a command out and returns what it says, lines and all; raises what QMP's commands raise."""


@dataclass(frozen=True, slots=True)
class HumanCommand:
    """A command.

    Attributes:
        name: Its name; a bar separates it from a shorter one.
        run: What it does.
        summary: What ``help`` says of it.
        usage: What it takes, as it is typed.
        parameters: What it takes, in order.
    """

    name: str
    run: Function
    summary: str
    usage: str = ""
    parameters: tuple[Parameter, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All its names."""
        return tuple(self.name.split("|"))

    def help(self, prefix: str = "") -> str:
        """Return its line of help.

        Args:
            prefix: What is typed before its name.
        """
        return f"{prefix}{self.name} {self.usage} -- {self.summary}\n"


@dataclass(frozen=True, slots=True)
class CommandTable:
    """Commands by name.

    Attributes:
        commands: All, in alphabetical order.
    """

    commands: tuple[HumanCommand, ...]

    def find(self, name: str) -> HumanCommand | None:
        """Return the command of a name, or None."""
        return next((command for command in self.commands if name in command.names), None)


def calling(name: str) -> Function:
    """Return what sends a command of QMP's with the arguments that were typed, and says nothing."""

    async def run(session: HumanSession, arguments: Arguments) -> str:
        await session.call(name, dict(arguments))
        return ""

    return run
