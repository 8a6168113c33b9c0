"""Play sessions on two machines, one of which may become the other, ours and QEMU's, and compare what all four say."""

import asyncio
import contextlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qmpserver.clock import SystemClock
from qmpserver.errors import QMPError
from qmpserver.machine.config import MachineConfig
from qmpserver.machine.machine import Machine
from qmpserver.schema.loader import load
from qmpserver.server import Server
from tests.differential.duel import Step
from tests.peers import need, qmp_connection

SCHEMA = load(with_machine=True)
EMULATOR = "qemu-system-x86_64"
PATIENCE_TURNS = 1000

DISK = {
    "driver": "qcow2",
    "node-name": "disk",
    "file": {"driver": "file", "node-name": "f", "filename": "disk"},
}
DEVICE = "virtio-blk-pci,drive=disk,id=device"

_SHOWN = ("status", "error-desc", "socket-address")
"""What of a migration does not depend on how long it took, and on the guest's memory."""


@dataclass(frozen=True)
class PairSession:
    """What is said to two machines.

    Attributes:
        steps: Which of them is told, and what; with `until`, an event or the status of a migration ends a step, and
            ``query-status`` is asked until it says that.
        alike_in_7_2: QEMU 7.2 says the same.
        target_devices: What else ``-device`` says to the one that waits.
    """

    steps: Sequence[tuple[str, Step]]
    alike_in_7_2: bool = True
    target_devices: Sequence[str] = ()


def _word(event: dict[str, Any]) -> str:
    status: str = event.get("data", {}).get("status", event["event"])
    return status


def _shaped(name: str, reply: dict[str, Any], events: list[dict[str, Any]]) -> list[Any]:
    """Keep of a step what can be compared.

    QEMU: how often it looks at its memory depends on the time, and so how many passes it tells of.
    """
    result = reply.get("return")
    if name == "query-migrate" and result is not None:
        reply = {"return": {key: result[key] for key in _SHOWN if key in result}}
    elif name == "query-named-block-nodes" and result is not None:
        reply = {"return": {node["node-name"]: node["active"] for node in result}}
    return [name, reply, [_word(event) for event in events if event["event"] != "MIGRATION_PASS"]]


# Ours


async def play_ours(session: PairSession, folder: Path) -> list[Any]:
    """Play a session on two machines of ours whose files are in `folder`."""
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(contextlib.chdir(folder))
        sides = {
            "source": await _make(stack, MachineConfig(), [DEVICE]),
            "target": await _make(
                stack, MachineConfig(incoming="defer", starts_paused=True), [DEVICE, *session.target_devices]
            ),
        }
        return [await _play_step(*sides[side], item) for side, item in session.steps]


async def _make(
    stack: contextlib.AsyncExitStack, config: MachineConfig, devices: Sequence[str]
) -> tuple[Server, list[dict[str, Any]]]:
    machine = Machine(SCHEMA, SystemClock(), config)
    events: list[dict[str, Any]] = []
    machine.events.subscribe(lambda event: events.append({"event": event.name, "data": event.data or {}}))
    server = await stack.enter_async_context(Server(daemon=machine))
    await server.execute("blockdev-add", DISK)
    for text in devices:
        driver, *pairs = text.split(",")
        options = dict(pair.split("=") for pair in pairs)
        await machine.devices.add({"driver": driver, **options}, is_text=True, at_start=True)
    return server, events


async def _play_step(server: Server, events: list[dict[str, Any]], item: Step) -> Any:
    try:
        result = await server.execute(item.execute, item.arguments or None)
        reply: dict[str, Any] = {"return": {} if result is None else result}
    except QMPError as error:
        reply = {"error": {"class": error.wire_class, "desc": error.description}}
    for _turn in range(PATIENCE_TURNS):
        if (
            item.until is None
            or item.execute == "query-status"
            or any(_word(event) == item.until for event in events)
        ):
            break
        await asyncio.sleep(0.01)
    taken = events.copy()
    events.clear()
    return _shaped(item.execute, reply, taken)


# QEMU's


@contextlib.contextmanager
def _emulator(folder: Path, name: str, *options: str) -> Iterator[Any]:
    fixed = f"-machine pc -accel tcg -display none -nodefaults -S -qmp unix:{name},server=on,wait=off"
    process = subprocess.Popen(
        [need(EMULATOR), *fixed.split(), "-blockdev", json.dumps(DISK), *options],
        cwd=folder,
        stderr=subprocess.DEVNULL,
    )
    try:
        with qmp_connection(str(folder / name)) as (client, lines, _greeting):
            yield client, lines
    finally:
        process.kill()
        process.wait()


def play_theirs(session: PairSession, folder: Path) -> list[Any]:
    """Play a session on two of QEMU, whose files are in `folder`."""
    further = [word for device in session.target_devices for word in ("-device", device)]
    with (
        _emulator(folder, "source", "-device", DEVICE) as source,
        _emulator(folder, "target", "-incoming", "defer", "-device", DEVICE, *further) as target,
    ):
        sides = {"source": source, "target": target}
        for client, lines in sides.values():
            _say(client, lines, Step("qmp_capabilities"))
        story = []
        for name, item in session.steps:
            client, lines = sides[name]
            story.append(_say(client, lines, item))
        return story


def _say(client: Any, lines: Any, item: Step) -> Any:
    """Say one thing to QEMU.

    QEMU: that a migration is completed is told a moment before the machine is in the state that follows.
    """
    if item.execute == "query-status" and item.until is not None:
        while True:
            told = _say(client, lines, Step(item.execute))
            if told[1]["return"]["status"] == item.until:
                return told
    message = {"execute": item.execute} | ({"arguments": item.arguments} if item.arguments else {})
    client.sendall(json.dumps(message).encode() + b"\n")
    events: list[dict[str, Any]] = []
    while "event" in (reply := json.loads(lines.readline())):
        events.append(reply)
    while item.until is not None and not any(_word(event) == item.until for event in events):
        events.append(json.loads(lines.readline()))
    return _shaped(item.execute, reply, events)
