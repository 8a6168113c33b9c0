"""Every example of the README does what it shows.

A comment before each block tells how it is run:

- ``exists``: the commands are programs of this project, which other tests run.
- ``session``: in one folder, one block after the other.
- ``embedding``: by itself.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers import need

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^(?:<!-- example: (\w+) -->\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROMPT = "(QEMU) "


@dataclass(frozen=True, slots=True)
class Example:
    """A block of the README."""

    how: str
    language: str
    text: str


def examples(how: str) -> list[Example]:
    """Return the README's blocks that are run in this way."""
    blocks = (Example(*match.groups()) for match in BLOCK.finditer((ROOT / "README.md").read_text("utf-8")))
    return [block for block in blocks if block.how == how]


@dataclass(slots=True)
class Step:
    """A command of a console block, the words typed into it, and what it is shown to print."""

    command: str
    typed: list[str]
    shown: list[str]


def steps(console: str) -> list[Step]:
    """Take a console block apart."""
    found: list[Step] = []
    for line in console.splitlines():
        if line.startswith("$ "):
            found.append(Step(line[2:], [], []))
        elif line.startswith("> "):
            found[-1].command += "\n" + line[2:]
        elif line.startswith(PROMPT):
            found[-1].typed.append(line.removeprefix(PROMPT))
        else:
            found[-1].shown.append(line)
    return found


def replies(output: str) -> list[object]:
    """Return the JSON replies among the lines that qmp-shell prints."""
    lines = (line.removeprefix(PROMPT) for line in output.splitlines())
    return [json.loads(line) for line in lines if line.startswith(('{"return"', '{"error"'))]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Give an environment in which `qmpserver` and `python` are this checkout's, and end what was left running."""
    programs = tmp_path / "programs"
    programs.mkdir()
    launcher = programs / "qmpserver"
    launcher.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m qmpserver \"$@\"\n")
    launcher.chmod(0o755)
    folders = [str(programs), os.path.dirname(sys.executable), os.environ["PATH"]]
    if peers := os.environ.get("QMPSERVER_PEERS"):
        folders.insert(1, peers)
    yield {**os.environ, "PATH": os.pathsep.join(folders), "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    pidfile = tmp_path / "qmpserver.pid"
    if pidfile.exists():
        os.kill(int(pidfile.read_text()), signal.SIGKILL)


def run(words: list[str], folder: Path, environment: dict[str, str], typed: str = "") -> str:
    """Run a program that must succeed, and return what it printed."""
    done = subprocess.run(
        words,
        cwd=folder,
        env=environment,
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def run_step(step: Step, folder: Path, environment: dict[str, str]) -> None:
    typed = "".join(f"{line}\n" for line in step.typed)
    output = run(["bash", "-euc", step.command], folder, environment, typed)
    if step.typed:
        assert replies(output) == [json.loads(line) for line in step.shown]
    else:
        assert output.splitlines() == step.shown


def test_every_example_tells_how_it_is_run() -> None:
    hows = [match.group(1) for match in BLOCK.finditer((ROOT / "README.md").read_text("utf-8"))]
    assert hows
    assert set(hows) == {"exists", "session", "embedding"}


def test_the_commands_named_first_are_there() -> None:
    for example in examples("exists"):
        for step in steps(example.text):
            assert os.access(ROOT / step.command, os.X_OK), step.command
            assert shutil.which("bash")


def test_the_first_session_goes_as_shown(tmp_path: Path, environment: dict[str, str]) -> None:
    need("qemu-img")
    need("qemu-io")
    printed = ""
    for example in examples("session"):
        if example.language == "python":
            printed += run([sys.executable, "-c", example.text], tmp_path, environment)
        else:
            for step in steps(example.text):
                run_step(step, tmp_path, environment)
    assert f"{64 << 20} of {64 << 20} bytes done" in printed


def test_the_embedding_example_runs_by_itself(tmp_path: Path, environment: dict[str, str]) -> None:
    (example,) = examples("embedding")
    assert run([sys.executable, "-c", example.text], tmp_path, environment) == f"disk {1 << 30}\n"
