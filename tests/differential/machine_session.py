"""Play sessions on a machine of ours and on QEMU's system emulator, and compare what both say.

What QEMU 11.1 says is recorded; with QMPSERVER_RECORD=1 it is recorded anew, and the emulator in use has to be of that
version.
"""

import asyncio
import contextlib
import difflib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from qmpserver.clock import SystemClock
from qmpserver.errors import QMPError
from qmpserver.machine.boards import find_board
from qmpserver.machine.config import MachineConfig
from qmpserver.machine.machine import Machine
from qmpserver.machine.media.drive import Drive
from qmpserver.schema.loader import load
from qmpserver.server import Server
from qmpserver.units import NS_PER_SECOND
from tests.differential.duel import Step, _fits, _Names
from tests.differential.recorded import without_drains
from tests.peers import need, peer_version, qmp_connection

SCHEMA = load(with_machine=True)
EMULATOR = "qemu-system-x86_64"
NEWEST = 11
PATIENCE_TURNS = 400

_HOSTS = frozenset(("limits", "actual-size", "driver-specific", "timestamp", "regions"))
_TIMES = re.compile(r"(idle_time|.*_(total_time|latency))_ns\Z")
_AUTO = re.compile(r"#auto\d+")
_MASKED = tuple(
    (re.compile(pattern), shown)
    for pattern, shown in (
        (r"vl\.\w+", "vl.X"),
        (r"(thread_id=|idle_time_ns=)\d+", r"\1N"),
        (r"(disk size: ).*", r"\1N\r"),
        (r"vm-\d{14}", "vm-TIME"),
        (r" +\S+ \S+ \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  \d{4}:\d\d:\d\d\.\d{3} ", " SIZE DATE CLOCK "),
    )
)
"""What in texts depends on the host, the time, or on how much state there is."""
_REGISTERS = re.compile(r"(child|link)<(memory-region|irq)>\Z")
"""Properties of QEMU's devices that are what a guest would use."""

_UNPLUG_DELAY_NS = 3600 * NS_PER_SECOND
"""On QEMU a guest, which there is none here, has to agree."""


@dataclass(frozen=True)
class Session:
    """What is said to a machine.

    Attributes:
        blockdevs: Nodes that are there from the beginning.
        drives: What ``-drive`` says, before any device.
        devices: What ``-device`` says.
        steps: The commands.
        alike_in_7_2: QEMU 7.2 says the same.
        board: What the machine is built on.
        boots_from: The device that the firmware reads a sector of when the machine first runs.
    """

    steps: Sequence[Step]
    blockdevs: Sequence[dict[str, Any]] = field(default_factory=list)
    drives: Sequence[str] = field(default_factory=list)
    devices: Sequence[str] = field(default_factory=list)
    alike_in_7_2: bool = True
    board: str = "pc"
    boots_from: str | None = None


def words(text: str) -> dict[str, str]:
    """Take ``key=value,...`` apart, whose first word is a driver's name where it has no key."""
    pairs = [part.partition("=") for part in text.split(",")]
    return {(key if sign else "driver"): (value if sign else key) for key, sign, value in pairs}


# Ours


async def play_ours(session: Session, folder: Path) -> list[Any]:
    """Play a session on a machine of ours whose files are in `folder`."""
    board = find_board(session.board)
    assert board is not None
    machine = Machine(SCHEMA, SystemClock(), MachineConfig(board=board, unplug_delay_ns=_UNPLUG_DELAY_NS))
    events: list[dict[str, Any]] = []
    machine.events.subscribe(lambda event: events.append(_event(event.name, event.data)))
    async with Server(daemon=machine) as server:
        with contextlib.chdir(folder):
            for options in session.blockdevs:
                await server.execute("blockdev-add", options)
            for text in session.drives:
                async with machine.graph.lock:
                    await machine.drives.add_legacy(words(text))
            for text in session.devices:
                await machine.devices.add(words(text), is_text=True, at_start=True)
            if session.boots_from is not None:
                firmware = Firmware(machine.drives.find(qdev_id=session.boots_from))
                machine.state.on_resume.append(firmware.boot)
            return [await _play_step(server, item, events) for item in session.steps]


class Firmware:
    """Reads a sector of a drive when the machine first runs, and no other one."""

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._reading: asyncio.Task[None] | None = None

    def boot(self) -> None:
        """Begin to read."""
        if self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        with contextlib.suppress(OSError):
            # QEMU's disks look there once before, to guess their geometry, and do not mind.
            await self._drive.backend.pread(0, memoryview(bytearray(512)))
        with contextlib.suppress(OSError):
            await self._drive.requests.pread(0, memoryview(bytearray(512)))


async def _play_step(server: Server, item: Step, events: list[dict[str, Any]]) -> Any:
    try:
        result = await server.execute(item.execute, item.arguments or None)
        reply = {"return": {} if result is None else result}
        SCHEMA.commands[item.execute].check_reply(reply["return"])
    except QMPError as error:
        reply = {"error": {"class": error.wire_class, "desc": error.description}}
    for _turn in range(PATIENCE_TURNS):
        if item.until is None or any(_fits(event, item.until) for event in events):
            break
        await asyncio.sleep(0.01)
    taken = without_drains(events)
    events.clear()
    return [item.execute, reply, taken]


def _event(name: str, data: dict[str, Any] | None) -> dict[str, Any]:
    SCHEMA.events[name].check_data(data)
    return {"event": name} | ({} if data is None else {"data": data})


# QEMU's


@contextlib.contextmanager
def _emulator(session: Session, folder: Path) -> Iterator[Any]:
    fixed = f"-machine {session.board} -accel tcg -display none -nodefaults -S -qmp unix:qmp.sock,server=on,wait=off"
    given = [
        *(word for options in session.blockdevs for word in ("-blockdev", json.dumps(options))),
        *(word for text in session.drives for word in ("-drive", text)),
        *(word for text in session.devices for word in ("-device", text)),
    ]
    process = subprocess.Popen(
        [need(EMULATOR), *fixed.split(), *given], cwd=folder, stderr=subprocess.DEVNULL
    )
    try:
        with qmp_connection(str(folder / "qmp.sock")) as (client, lines, _greeting):
            yield client, lines
    finally:
        process.kill()
        process.wait()


def play_theirs(session: Session, folder: Path) -> list[Any]:
    """Play a session on QEMU, whose files are in `folder`."""
    story = []
    with _emulator(session, folder) as (client, lines):
        events: list[dict[str, Any]] = []

        def read() -> dict[str, Any]:
            message: dict[str, Any] = json.loads(lines.readline())
            message.pop("timestamp", None)
            return message

        for item in (Step("qmp_capabilities"), *session.steps):
            message = {"execute": item.execute} | ({"arguments": item.arguments} if item.arguments else {})
            client.sendall(json.dumps(message).encode() + b"\n")
            while "event" in (reply := read()):
                events.append(reply)
            while item.until is not None and not any(_fits(event, item.until) for event in events):
                events.append(read())
            story.append([item.execute, reply, without_drains(events)])
            events.clear()
    return story[1:]


# Compared


def compare(recording: Path, name: str, session: Session, images: Path, tmp_path: Path) -> None:
    """Hold what our machine says against what QEMU 11.1 was recorded to say."""
    stories = json.loads(recording.read_text()) if recording.exists() else {}
    if os.environ.get("QMPSERVER_RECORD") == "1":
        assert peer_version(EMULATOR)[0] == NEWEST
        stories[name] = shaped(play_theirs(session, _copy(images, tmp_path / "theirs")))
        recording.write_text(json.dumps(stories, indent=1, sort_keys=True) + "\n")
    ours = shaped(asyncio.run(play_ours(session, _copy(images, tmp_path / "ours"))))
    assert_alike(ours, stories[name])


def check_recording(recording: Path, name: str, session: Session, images: Path, tmp_path: Path) -> None:
    """See whether the recorded story is what the emulator in use says, if that is to be expected."""
    major, _minor = peer_version(EMULATOR)
    if major != NEWEST and not session.alike_in_7_2:
        pytest.skip(f"QEMU {major} says something else than QEMU {NEWEST}")
    theirs = shaped(play_theirs(session, _copy(images, tmp_path / "theirs")))
    recorded = json.loads(recording.read_text())[name]
    if major != NEWEST:
        theirs, recorded = common(theirs, recorded), common(recorded, theirs)
    assert_alike(theirs, recorded)


def _copy(images: Path, folder: Path) -> Path:
    shutil.copytree(images, folder)
    return folder


def shaped(story: Iterable[Any]) -> list[Any]:
    """Keep of a story what does not depend on the host, the time and the names that are made up."""
    names = _Names()
    return [names.plain(_shape(part)) for part in story]


def _shape(part: Any) -> Any:
    match part:
        case dict():
            kept = {key: _shape(value) for key, value in part.items() if key not in _HOSTS}
            return {key: value for key, value in kept.items() if not _TIMES.match(key)}
        case [{"name": str(), "type": str()}, *_]:
            # QEMU: properties come in an order that means nothing.
            entries = [_shape(entry) for entry in part if not _REGISTERS.match(entry["type"])]
            return sorted(entries, key=lambda entry: str(entry["name"]))
        case list():
            return [_shape(value) for value in part]
        case float():
            return int(part) if part.is_integer() else part
        case str():
            for pattern, shown in _MASKED:
                part = pattern.sub(shown, part)
            return part
        case _:
            return part


def common(part: Any, other: Any) -> Any:
    """Leave out what only one of two versions shows."""
    if isinstance(part, dict) and isinstance(other, dict):
        return {key: common(value, other[key]) for key, value in part.items() if key in other}
    if isinstance(part, list) and isinstance(other, list) and len(part) == len(other):
        return [common(one, two) for one, two in zip(part, other, strict=True)]
    # Names are counted, and so counted otherwise where one version shows more of them.
    return _AUTO.sub("#auto", part) if isinstance(part, str) else part


def _typed(part: Any) -> Any:
    """Take words for what they mean: QEMU names a node by its options as they were written, we by what they are."""
    match part:
        case dict():
            return {key: _typed(value) for key, value in part.items()}
        case list():
            return [_typed(value) for value in part]
        case "on" | "off":
            return part == "on"
        case _:
            return part


def assert_alike(ours: list[Any], theirs: list[Any]) -> None:
    """Compare two stories step by step, naming the first that differs."""
    for mine, real in zip(ours, theirs, strict=True):
        told = [json.dumps(_typed(story), indent=1, sort_keys=True).splitlines() for story in (mine, real)]
        if told[0] != told[1]:
            pytest.fail(
                "\n".join([f"{mine[0]}: - the first, + the second", *difflib.ndiff(told[0], told[1])])
            )
