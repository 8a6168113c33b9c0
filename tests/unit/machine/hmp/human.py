"""A machine whose monitor for people a test types at."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from qmpserver.clock import Clock, ManualClock
from qmpserver.machine.config import MachineConfig
from qmpserver.machine.machine import Machine
from qmpserver.schema.loader import load
from qmpserver.server import Server

SCHEMA = load(with_machine=True)


class Person:
    """Somebody who types lines, and the events meanwhile."""

    def __init__(self, server: Server, machine: Machine) -> None:
        self.server = server
        self.machine = machine
        self.events: list[str] = []
        machine.events.subscribe(lambda event: self.events.append(event.name))

    async def type(self, line: str) -> str:
        """Have a line carried out, and return the answer."""
        answer: str = await self.server.execute("human-monitor-command", {"command-line": line})
        assert "\n" not in answer.replace("\r\n", "")
        return answer.replace("\r\n", "\n")

    async def node(self, name: str, driver: str = "null-co", **options: Any) -> None:
        """Open a node."""
        given = {key.replace("_", "-"): value for key, value in options.items()}
        size = {"size": 1 << 20, "read-zeroes": True} if driver == "null-co" else {}
        await self.server.blockdev_add({"driver": driver, "node-name": name, **size, **given})

    async def device(self, **options: str) -> None:
        """Add a device."""
        await self.machine.devices.add(options, is_text=True, at_start=True)


@contextlib.asynccontextmanager
async def person(config: MachineConfig | None = None, clock: Clock | None = None) -> AsyncIterator[Person]:
    """Let somebody type until the block ends."""
    machine = Machine(SCHEMA, clock or ManualClock(), config or MachineConfig())
    async with Server(daemon=machine) as server:
        yield Person(server, machine)
