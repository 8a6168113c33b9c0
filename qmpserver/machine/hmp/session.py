"""Hold what a command finds around it: the machine, its client, and QMP's commands."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qmpserver.errors import CommandNotFound
from qmpserver.machine.machine import Machine
from qmpserver.monitor.commands import BoundCommand, Client


@dataclass(slots=True)
class HumanSession:
    """Whose lines are carried out.

    Attributes:
        machine: What they are about.
        client: Whose descriptors they mean.
        commands: QMP's commands by name.
        history: The lines that were typed, the oldest first.
        is_over: Whoever types has had enough.
        is_interactive: Somebody types the lines, and may wait for long.
    """

    machine: Machine
    client: Client
    commands: Mapping[str, BoundCommand]
    history: list[str] = field(default_factory=list)
    is_over: bool = False
    is_interactive: bool = False

    async def call(self, name: str, arguments: dict[str, Any] | None = None) -> Any:
        """Carry out a command of QMP's.

        Args:
            name: Its name.
            arguments: What it takes; those that are None are left out.

        Raises:
            QMPError: It is refused.
            OSError: The host refuses something.
        """
        command = self.commands.get(name)
        if command is None:
            raise CommandNotFound(f"The command {name} has not been found")
        given = {key: value for key, value in (arguments or {}).items() if value is not None}
        result = command.run(self.client, command.check(given))
        return await result if asyncio.iscoroutine(result) else result
