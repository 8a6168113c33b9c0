"""Whatever a client asks of a machine, the answer is as described, or a named refusal."""

import asyncio
import os
import random
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmpserver import log
from qmpserver.clock import ManualClock
from qmpserver.errors import QMPError
from qmpserver.machine.boards import find_board
from qmpserver.machine.config import MachineConfig
from qmpserver.machine.devices.types.table import DEVICE_TYPES
from qmpserver.machine.machine import Machine
from qmpserver.schema.loader import load
from qmpserver.schema.qapi import Alternate, Array, Enum, Kind, Member, Scalar, Struct, Type, Union
from qmpserver.server import Server

SCHEMA = load(with_machine=True)
LEFT_OUT = ("qmp_capabilities", "quit", "x-wait")
"""Commands of the session, and those that end or wait for it."""

COMMANDS = sorted(SCHEMA.commands.keys() - set(LEFT_OUT))
OF_MACHINE = [name for name in COMMANDS if SCHEMA.commands[name].subject.startswith("machine/")]
DRIVERS = [entry.name for entry in DEVICE_TYPES if not entry.is_abstract and not entry.name.endswith("-cpu")]
NAMES: Mapping[str, tuple[str, ...]] = {
    "id": ("d0", "c0", "f0", "x", "t"),
    "device": ("d0", "n0", "c0", "drive0"),
    "node-name": ("n0", "n1", "x"),
    "driver": ("null-co", *DRIVERS),
    "path": ("/machine", "d0", "/machine/peripheral/c0", "/objects/t"),
    "filename": ("a.img", "b.img"),
}
"""What members are often about, of what there is."""

TEXTS = (
    *(
        "n0",
        "d0",
        "job",
        "",
        "nosuch",
        "/machine",
        "a.img",
        "\u00e4",
        "x" * 70,
        "0",
        "on",
        "raw",
        "defer",
        "info block",
    ),
    *("qemu-io d0 'read 0 512'", "drive", "EPYC", "serial", "nbd*"),
)
DEVICES: tuple[dict[str, Any], ...] = (
    {"driver": "virtio-scsi-pci", "id": "s"},
    {"driver": "scsi-cd", "id": "c0"},
    {"driver": "virtio-blk-pci", "id": "d0", "drive": "n0", "share-rw": True},
    {"driver": "floppy", "id": "f0"},
)
NUMBERS = (0, 1, 2, -1, 512, 4096, 1 << 20, 1 << 31, 1 << 63, 1 << 64, -(1 << 63))
ODDITIES: tuple[Any, ...] = (None, True, 0, -1, 1.5, "x", [], {}, [1], {"a": 1})


def made_up(chance: random.Random, described: Type, member: Member | None = None, depth: int = 0) -> Any:
    """Return a value that is most often one of the type."""
    if chance.random() < 0.005:
        return chance.choice(ODDITIES)
    match described:
        case Scalar() | Enum():
            return plain(chance, described, member)
        case Array():
            return [
                made_up(chance, described.element, member, depth + 1)
                for _ in range(chance.choice((0, 1, 1, 2)))
            ]
        case Alternate():
            return made_up(chance, chance.choice(described.branches), member, depth + 1)
        case Struct():
            return members(chance, described.members, depth)
        case Union():
            return union(chance, described, depth)


def plain(chance: random.Random, described: Scalar | Enum, member: Member | None) -> Any:
    if isinstance(described, Enum):
        return chance.choice(list(described.values))
    values: Mapping[Kind, tuple[Any, ...]] = {
        Kind.STRING: NAMES.get(member.name if member is not None else "", TEXTS),
        Kind.INTEGER: (*NUMBERS, *described.format.bounds),
        Kind.NUMBER: (0, 0.5, -1, 1e300),
        Kind.BOOLEAN: (True, False),
        Kind.NULL: (None,),
        Kind.ANY: (*ODDITIES, "n0"),
    }
    return chance.choice(values[described.kind])


def members(chance: random.Random, wanted: list[Member], depth: int) -> dict[str, Any]:
    likely = chance.choice((0.05, 0.2, 0.5)) if depth < 3 else 0.05
    return {
        member.name: made_up(chance, member.type, member, depth + 1)
        for member in wanted
        if chance.random() < (0.99 if member.required else likely)
    }


def union(chance: random.Random, described: Union, depth: int) -> dict[str, Any]:
    found = members(chance, described.members, depth)
    branch = described.branches.get(str(found.get(described.tag)))
    further = {} if branch is None else made_up(chance, branch, None, depth + 1)
    return {**found, **further} if isinstance(further, dict) else found


def arguments(chance: random.Random, name: str) -> dict[str, Any]:
    """Return made up arguments; of several ways to name a device or node, most often one."""
    described = SCHEMA.commands[name].arguments
    found = made_up(chance, described)
    found = found if isinstance(found, dict) else {}
    ways = {member.name for member in described.members if not member.required} & {
        "device",
        "id",
        "node-name",
    }
    if ways and chance.random() < 0.8:
        way = chance.choice(sorted(ways))
        found = {key: value for key, value in found.items() if key not in ways} | {
            way: chance.choice(NAMES[way])
        }
    if name == "device_add" and found.get("driver") in DRIVERS:
        found |= device_properties(chance, found["driver"])
    return found


def device_properties(chance: random.Random, driver: str) -> dict[str, Any]:
    entry = DEVICE_TYPES.of(driver)
    known = sorted(DEVICE_TYPES.own_properties(DEVICE_TYPES.backend_of(entry) or entry))
    said = {name: chance.choice((*TEXTS, *NUMBERS, *ODDITIES)) for name in known if chance.random() < 0.03}
    return said | ({"drive": chance.choice(("n0", "n1"))} if "drive" in known else {})


async def furnish(server: Server, machine: Machine) -> None:
    for name in ("n0", "n1"):
        await server.execute("blockdev-add", {"driver": "null-co", "node-name": name, "size": 1 << 20})
    await server.execute("object-add", {"qom-type": "throttle-group", "id": "t"})
    for options in DEVICES if machine.config.board.family in ("pc", "q35") else ():
        if options["driver"] != "floppy" or machine.config.board.family == "pc":
            await machine.devices.add(options, at_start=True)


async def ask(server: Server, name: str, said: dict[str, Any]) -> None:
    try:
        async with asyncio.timeout(20):
            reply = await server.execute(name, said)
    except TimeoutError:
        pytest.fail(f"never answered: {name} {said}")
    except (QMPError, OSError):
        return
    except Exception as error:
        raise AssertionError(f"{name} {said}") from error
    SCHEMA.commands[name].check_reply({} if reply is None else reply)


async def play(seed: int, board: str) -> None:
    chance, clock = random.Random(seed), ManualClock()
    found = find_board(board)
    assert found is not None
    machine = Machine(SCHEMA, clock, MachineConfig(board=found))
    async with Server(daemon=machine) as server:
        await furnish(server, machine)
        for _ in range(40):
            name = chance.choice(
                chance.choice((COMMANDS, OF_MACHINE, ["device_add", "device_del", "qom-set"]))
            )
            await ask(server, name, arguments(chance, name))
            clock.advance(chance.choice((0, 0, 1, 10**9)))
        await ask(server, "query-block", {})


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave the log, which is the process's own, as it was."""
    before = log.detailed()
    yield
    log.set_detailed(before)


@settings(max_examples=100)
@given(st.integers(0, 1 << 32), st.sampled_from(("pc", "q35", "none", "microvm")))
def test_every_command_is_answered_as_described_or_refused(seed: int, board: str) -> None:
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            asyncio.run(play(seed, board))
        finally:
            os.chdir(before)
