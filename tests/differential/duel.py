"""Run the same commands on real QEMU and on this server, and compare what both say."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

from tests.peers import need

OURS = [sys.executable, "-m", "qmpserver"]
TIMEOUT_S = 20.0
_AUTO_NAME = re.compile(r"#block\d+")


@dataclass
class Step:
    """One command, and the event that ends what it causes.

    Attributes:
        execute: The command.
        arguments: Its arguments.
        until: Event name, or ``STATUS=value`` of JOB_STATUS_CHANGE, to wait for after the reply.
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
        path = folder / "qmp.sock"
        self.process = subprocess.Popen(
            [*command, "--chardev", "socket,id=c,path=qmp.sock,server=on,wait=off", "--monitor", "c"],
            cwd=folder,
            env=_environment(),
        )
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT_S)
        deadline = time.monotonic() + TIMEOUT_S
        while self.socket.connect_ex(str(path)):
            assert self.process.poll() is None, "the daemon ended before it listened"
            assert time.monotonic() < deadline, "the daemon does not listen"
            time.sleep(0.01)
        self._lines = self.socket.makefile("rb")
        self._lines.readline()
        self.events: list[dict[str, Any]] = []
        assert self.execute("qmp_capabilities") == {"return": {}}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.socket.close()
        self._lines.close()
        self.process.terminate()
        try:
            self.process.wait(TIMEOUT_S)
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
        message.pop("timestamp", None)
        return message


def _environment() -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": root}


def _fits(event: dict[str, Any], until: str) -> bool:
    if until.startswith("STATUS="):
        return event["event"] == "JOB_STATUS_CHANGE" and event["data"]["status"] == until.removeprefix(
            "STATUS="
        )
    return bool(event["event"] == until)


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
    """Run the steps and return, for each, its reply and the events it caused, names made plain."""
    names = _Names()
    story: list[Any] = []
    for item in steps:
        reply = daemon.execute(item.execute, item.arguments)
        if item.until is not None and "return" in reply:
            daemon.wait(item.until)
        story.append((item.execute, names.plain(reply), names.plain(daemon.take_events())))
    return story


def duel(tmp_path: Path, images: Path, steps: list[Step]) -> tuple[list[Any], Path, list[Any], Path]:
    """Play the steps on both, each on its own copy of the images.

    Returns:
        Our story, the folder of our images, theirs, the folder of theirs.
    """
    peer = need("qemu-storage-daemon")
    stories = []
    for who, command in (("ours", OURS), ("theirs", [peer])):
        folder = tmp_path / who
        shutil.copytree(images, folder)
        with Daemon(command, folder) as daemon:
            stories.append(play(daemon, steps))
        stories.append(folder)
    return stories[0], stories[1], stories[2], stories[3]


def assert_alike(ours: list[Any], theirs: list[Any]) -> None:
    """Compare two stories step by step, naming the first step that differs."""
    for mine, real in zip(ours, theirs, strict=True):
        if mine != real:
            pytest.fail(f"{mine[0]} differs\n  ours:   {mine[1:]}\n  theirs: {real[1:]}")
