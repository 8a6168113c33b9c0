"""A machine has as much memory as was said, or as the object that it is of."""

import asyncio

import pytest

from qmpserver.clock import ManualClock
from qmpserver.machine.config import MachineConfig, Memory
from qmpserver.machine.machine import Machine
from qmpserver.schema.loader import load
from qmpserver.server import Server

SCHEMA = load(with_machine=True)
OBJECT = {"qom-type": "memory-backend-ram", "id": "r", "size": 4096}


@pytest.mark.parametrize(
    ("memory", "size", "objects"),
    [
        (Memory(), 128 << 20, ["r", "pc.ram"]),
        (Memory(size=1 << 20), 1 << 20, ["r", "pc.ram"]),
        (Memory(backend="r"), 4096, ["r"]),
        (Memory(size=8192, backend="r", is_given=True), 8192, ["r"]),
    ],
)
def test_memory_is_what_was_said_or_what_it_is_of(memory: Memory, size: int, objects: list[str]) -> None:
    async def main() -> None:
        machine = Machine(SCHEMA, ManualClock(), MachineConfig(memory=memory))
        async with Server(daemon=machine) as server:
            await server.execute("object-add", OBJECT)
            summary = await server.execute("query-memory-size-summary")
            assert summary == {"base-memory": size, "plugged-memory": 0}
            assert [found["id"] for found in await server.execute("query-memdev")] == objects

    asyncio.run(main())
