"""Run the same commands on real QEMU and on this server, and compare what both say."""

import difflib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

from qmpserver.schema.loader import load
from tests.peers import PATIENCE_S, need, qmp_connection

OURS = [sys.executable, "-m", "qmpserver"]
SCHEMA = load()
_AUTO_NAME = re.compile(r"#block\d+")


@dataclass
class Step:
    """One command, and the event that ends what it causes.

    Attributes:
        execute: The command.
        arguments: Its arguments.
        until: Event name, ``EVENT=device``, or ``STATUS=value`` of JOB_STATUS_CHANGE, to wait for after the reply.
    """

    execute: str
    arguments: dict[str, Any] = field(default_factory=dict)
    until: str | None = None


def step(execute: str, until: str | None = None, /, **arguments: Any) -> Step:
    """Make a step; `_` in argument names stands for `-`."""
    return Step(execute, {key.replace("_", "-"): value for key, value in arguments.items()}, until)


class Daemon:
    """A storage daemon, real or ours, in a folder of its own."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self.folder = folder
        self._is_ours = command is OURS
        self.process = subprocess.Popen(
            [*command, "--chardev", "socket,id=c,path=qmp.sock,server=on,wait=off", "--monitor", "c"],
            cwd=folder,
            env=_environment(),
        )
        self._connection = qmp_connection(str(folder / "qmp.sock"))
        self.socket, self._lines, _ = self._connection.__enter__()
        self.events: list[dict[str, Any]] = []
        assert self.execute("qmp_capabilities") == {"return": {}}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._connection.__exit__(None, None, None)
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def execute(self, name: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run a command and return its whole reply; events met on the way are kept."""
        message: dict[str, Any] = {"execute": name}
        if arguments:
            message["arguments"] = arguments
        self.socket.sendall(json.dumps(message).encode() + b"\n")
        while "event" in (reply := self._read()):
            self.events.append(reply)
        if self._is_ours and "return" in reply and name in SCHEMA.commands:
            SCHEMA.commands[name].check_reply(reply["return"])
        return reply

    def wait(self, until: str) -> None:
        """Read events until one fits."""
        position = 0
        while True:
            while position < len(self.events):
                if _fits(self.events[position], until):
                    return
                position += 1
            self.events.append(self._read())

    def take_events(self) -> list[dict[str, Any]]:
        """Return the events since the last call."""
        taken, self.events = self.events, []
        return taken

    def _read(self) -> dict[str, Any]:
        line = self._lines.readline()
        assert line, "the daemon closed the connection"
        message: dict[str, Any] = json.loads(line)
        if "QMP" in message and not self._is_ours:
            # Real QEMU at times greets twice a client that comes while it starts.
            return self._read()
        timestamp = message.pop("timestamp", None)
        if self._is_ours and "event" in message:
            assert set(timestamp) == {"seconds", "microseconds"}
            SCHEMA.events[message["event"]].check_data(message.get("data"))
        return message


def _environment() -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": root}


def _fits(event: dict[str, Any], until: str) -> bool:
    name, _, status = until.partition("=")
    if name == "STATUS":
        return bool(event["event"] == "JOB_STATUS_CHANGE" and event["data"]["status"] == status)
    return bool(event["event"] == name and (not status or event["data"].get("device") == status))


class _Names:
    """Replaces names that the daemon made up by names in the order they were first seen."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def plain(self, value: Any) -> Any:
        """Return `value` with made-up names replaced and ``json:`` names parsed."""
        match value:
            case dict():
                return {key: self.plain(item) for key, item in sorted(value.items())}
            case list():
                return [self.plain(item) for item in value]
            case str() if value.startswith("json:"):
                return self.plain(json.loads(value.removeprefix("json:")))
            case str():
                return _AUTO_NAME.sub(self._name, value)
            case _:
                return value

    def _name(self, match: re.Match[str]) -> str:
        return self._known.setdefault(match.group(), f"#auto{len(self._known)}")


def play(daemon: Daemon, steps: Iterable[Step]) -> list[Any]:
    """Run the steps and return, for each, the command, its reply and the events it caused."""
    story: list[Any] = []
    for item in steps:
        reply = daemon.execute(item.execute, item.arguments)
        if item.until is not None and "return" in reply:
            daemon.wait(item.until)
        story.append([item.execute, reply, daemon.take_events()])
    return story


@dataclass(frozen=True)
class Outcome:
    """What a duel left: both stories, and both folders of images."""

    ours: list[Any]
    theirs: list[Any]
    our_folder: Path
    their_folder: Path

    def assert_alike(self, shape: Callable[[Any], Any] = lambda part: part) -> None:
        """Compare the stories step by step, naming the first that differs.

        Args:
            shape: Takes from a reply or an event what is to be compared.
        """
        our_names, their_names = _Names(), _Names()
        for mine, real in zip(self.ours, self.theirs, strict=True):
            told = [
                json.dumps(names.plain([shape(part) for part in step]), indent=1, sort_keys=True).splitlines()
                for names, step in ((our_names, mine), (their_names, real))
            ]
            if told[0] != told[1]:
                pytest.fail("\n".join([f"{mine[0]}: - ours, + theirs", *difflib.ndiff(told[0], told[1])]))


def duel(tmp_path: Path, images: Path, steps: list[Step]) -> Outcome:
    """Play the steps on both, each on its own copy of the images."""
    peer = need("qemu-storage-daemon")
    stories: list[list[Any]] = []
    for who, command in (("ours", OURS), ("theirs", [peer])):
        folder = tmp_path / who
        shutil.copytree(images, folder)
        with Daemon(command, folder) as daemon:
            stories.append(play(daemon, steps))
    return Outcome(stories[0], stories[1], tmp_path / "ours", tmp_path / "theirs")
