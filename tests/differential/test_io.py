"""The disk exerciser beside qemu-io 11.1, command line by command line: status, output, messages and data.

With QMPSERVER_RECORD=1 the qemu-io and qemu-img in use are recorded anew, and have to be of that version.
"""

import hashlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from qmpserver.__main__ import run
from qmpserver.cli.images import images
from qmpserver.cli.io.table import TABLE
from qmpserver.schema.loader import load
from tests.differential.io_lines import STORIES
from tests.peers import need, peer_version

RECORDING = Path(__file__).parent / "recorded_io.json"

Outcome = list[int | str]


def _usage(found: re.Match[str]) -> str:
    return f"{found[1]} -- ?" if TABLE.find(found[2]) is not None else found[0]


_VARYING = (
    (re.compile(r"(?:\d+:\d\d:)?\d\d\.\d\d(?: sec)? \([^)]*\)"), "TIME"),
    (re.compile(r"\b(\d+),1,\d+:\S+"), r"\1,1,TIME"),
    (re.compile(r"#block\d+"), "#block"),
    # What is said about the program and its commands is in words of our own.
    (re.compile(r"(?s)Usage: qemu-io.*?(?:project at <[^>]*>\.|lists the commands\.)\n"), "USAGE\n"),
    (re.compile(r"(?m)^(([a-z_?]+)(?: .*)?) -- .*$"), _usage),
)


def _shaped(text: str) -> str:
    for pattern, instead in _VARYING:
        text = pattern.sub(instead, text)
    return text


def _split(line: str) -> tuple[str, list[str], str]:
    """Return a line's tool, its words, and what is typed."""
    line, _, typed = line.partition(" <<< ")
    tool, _, rest = line.partition(" ")
    return tool, [rest] if tool == "sh" else shlex.split(rest), typed.encode().decode("unicode_escape")


def _shell(script: str, folder: Path) -> None:
    subprocess.run(["bash", "-c", script], cwd=folder, check=True, timeout=20)


def _record(lines: list[str], folder: Path) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for line in lines:
        tool, words, typed = _split(line)
        if tool == "sh":
            _shell(words[0], folder)
            outcomes.append([0, "", ""])
            continue
        peer = need(f"qemu-{tool}")
        assert peer_version(f"qemu-{tool}")[0] == 11, "the recording is of QEMU 11"
        ended = subprocess.run(
            [peer, *words],
            cwd=folder,
            input=typed,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )
        # The wrapper of an unpacked QEMU names the program behind it.
        texts = [
            re.sub(rf"[^\s']*/qemu-{tool}", f"qemu-{tool}", text) for text in (ended.stdout, ended.stderr)
        ]
        outcomes.append([ended.returncode, *map(_shaped, texts)])
    return outcomes


def _data(folder: Path) -> dict[str, str]:
    """Return digests of the images in the folder that are plain data."""
    plain = (path for path in sorted(folder.iterdir()) if path.suffix in {".raw", ".out"})
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in plain}


@pytest.mark.parametrize("story", STORIES)
def test_a_story_goes_as_with_qemu_io(
    story: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = [line for line in STORIES[story].splitlines() if line]
    stories = json.loads(RECORDING.read_text()) if RECORDING.exists() else {}
    if os.environ.get("QMPSERVER_RECORD") == "1":
        theirs = _folder(tmp_path / "theirs")
        outcomes = _record(lines, theirs)
        recorded = [[line, *outcome] for line, outcome in zip(lines, outcomes, strict=True)]
        stories[story] = {"lines": recorded, "data": _data(theirs)}
        RECORDING.write_text(json.dumps(stories, indent=1, sort_keys=True) + "\n")
    ours = _folder(tmp_path / "ours")
    monkeypatch.chdir(ours)
    # One schema serves all lines; to load it for each takes longer than most of them.
    schema = load()
    monkeypatch.setattr(images, "_load_schema", lambda: schema)
    assert [line for line, *_ in stories[story]["lines"]] == lines, (
        "the story is not the one that was recorded"
    )
    for line, *expected in stories[story]["lines"]:
        tool, words, typed = _split(line)
        if tool == "sh":
            _shell(words[0], ours)
            continue
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        status = run(f"qemu-{tool}", words)
        out, err = map(_shaped, capfd.readouterr())
        assert [line, status, out, err] == [line, *expected]
    assert _data(ours) == stories[story]["data"]


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
