"""Machines without a guest, whose clock stands still."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from qmpserver.clock import ManualClock
from qmpserver.machine.boards import find_board
from qmpserver.machine.config import MachineConfig
from qmpserver.machine.machine import Machine
from qmpserver.schema.loader import load
from tests.unit.machine.devices.machines import MakeMachine

SCHEMA = load(with_machine=True)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def make_machine(clock: ManualClock) -> Iterator[MakeMachine]:
    """Return what makes machines, which are closed at the end."""
    made: list[Machine] = []

    def make(board: str = "pc", **config: Any) -> Machine:
        found = find_board(board)
        assert found is not None
        made.append(Machine(SCHEMA, clock, MachineConfig(board=found, **config)))
        return made[-1]

    yield make
    for machine in made:
        asyncio.run(machine.close())


@pytest.fixture
def machine(make_machine: MakeMachine) -> Machine:
    """Return a machine with a SCSI controller `s`, a USB controller `u`, and nodes `n`, `m` and `o`."""
    made = make_machine()
    asyncio.run(_furnish(made))
    return made


async def _furnish(made: Machine) -> None:
    for name in ("n", "m", "o"):
        await made.blockdev_add({"driver": "null-co", "node-name": name, "size": 1 << 20})
    await made.devices.add({"driver": "virtio-scsi-pci", "id": "s"}, at_start=True)
    await made.devices.add({"driver": "qemu-xhci", "id": "u"}, at_start=True)


@pytest.fixture
def gone(machine: Machine) -> list[str]:
    """Return the paths of devices that have gone, as events tell of them."""
    paths: list[str] = []

    def listen(event: Any) -> None:
        if event.name == "DEVICE_DELETED":
            paths.append(event.data["path"])

    machine.events.subscribe(listen)
    return paths
