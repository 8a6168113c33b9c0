"""Network backends come and go by name."""

import asyncio
from typing import Any

import pytest

from qmpserver.clock import ManualClock
from qmpserver.errors import DeviceNotFound, QMPError
from qmpserver.machine.machine import Machine
from qmpserver.schema.loader import load
from qmpserver.server import Server

SCHEMA = load(with_machine=True)


def run(*commands: tuple[str, dict[str, Any]]) -> Machine:
    async def main() -> Machine:
        machine = Machine(SCHEMA, ManualClock())
        async with Server(daemon=machine) as server:
            for command, arguments in commands:
                await server.execute(command, arguments)
            return machine

    return asyncio.run(main())


ADDED = ("netdev_add", {"type": "user", "id": "n", "hostfwd": [{"str": "tcp::22-:22"}]})
DEVICE = ("device_add", {"driver": "e1000", "id": "e", "netdev": "n"})


def test_a_device_leads_to_a_backend_that_was_added() -> None:
    assert run(ADDED, DEVICE).netdevs == {"n"}


def test_a_backend_that_was_deleted_can_be_added_again() -> None:
    assert run(ADDED, ("netdev_del", {"id": "n"}), ADDED).netdevs == {"n"}


@pytest.mark.parametrize(
    ("commands", "refusal"),
    [
        ([ADDED, ADDED], "Duplicate ID 'n'"),
        ([("netdev_add", {"type": "user", "id": "1"})], "Parameter 'id' expects an identifier"),
        ([("netdev_add", {"type": "nic", "id": "n"})], "network backend 'nic' is not compiled"),
        ([("netdev_add", {"type": "tap", "id": "n", "net": "x"})], "Parameter 'net' is unexpected"),
        ([DEVICE], "can't find value 'n'"),
    ],
)
def test_what_makes_no_sense_is_refused(commands: list[tuple[str, dict[str, Any]]], refusal: str) -> None:
    with pytest.raises(QMPError, match=refusal):
        run(*commands)


def test_a_backend_that_is_not_there_cannot_be_deleted() -> None:
    with pytest.raises(DeviceNotFound, match="Device 'n' not found"):
        run(("netdev_del", {"id": "n"}))
