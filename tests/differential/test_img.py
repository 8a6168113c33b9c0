"""The image tool beside qemu-img 11.1, command line by command line: status, output and messages.

With QMPSERVER_RECORD=1 the qemu-img in use is recorded anew, and has to be of that version.
"""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from qmpserver.__main__ import run
from tests.differential.img_lines import STORIES
from tests.peers import need

RECORDING = Path(__file__).parent / "recorded_img.json"

Outcome = list[int | str]

_VARYING = (
    # What depends on the file system, on how much of a last cluster is written, and on the time.
    (re.compile(r'(disk size: |file length: |"actual-size": )[^,\n]*'), r"\1?"),
    (re.compile(r'("virtual-size": )\d+(,\s+"filename": "[^"]*",\s+"format": "file")'), r"\1?\2"),
    (re.compile(r'("date-n?sec": )\d+'), r"\1?"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "DATE"),
    (re.compile(r"Run completed in [0-9.]+"), "Run completed in ?"),
    (re.compile(r'(Image end offset: |"image-end-offset": )\d+'), r"\1?"),
    (re.compile(r"(?:    \([0-9.]+/100%\)[\r\n]+)+"), "PROGRESS\n"),
    # QEMU keeps no count of instructions in qemu-img and says 0; we leave it out.
    (re.compile(r'\s*"icount": 0,'), ""),
    (re.compile(r"(\d{4}:\d\d:\d\d\.\d{3}).*"), r"\1"),
)


def _shaped(text: str, program: str) -> str:
    text = text.replace(program, "qemu-img")
    for pattern, instead in _VARYING:
        text = pattern.sub(instead, text)
    return text


def _record(peer: str, lines: list[str], folder: Path) -> list[Outcome]:
    version = subprocess.run([peer, "--version"], capture_output=True, text=True, check=True).stdout
    assert "version 11." in version, f"the recording is of QEMU 11, not of {version}"
    outcomes: list[Outcome] = []
    for line in lines:
        ended = subprocess.run(
            [peer, *shlex.split(line)], cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
        # The wrapper of an unpacked QEMU names the program behind it.
        program = r"[^\s']*/qemu-img"
        texts = [_shaped(re.sub(program, "qemu-img", text), peer) for text in (ended.stdout, ended.stderr)]
        outcomes.append([ended.returncode, *texts])
    return outcomes


@pytest.mark.parametrize("story", STORIES)
def test_a_story_goes_as_with_qemu_img(
    story: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = [line for line in STORIES[story].splitlines() if line]
    stories = json.loads(RECORDING.read_text()) if RECORDING.exists() else {}
    if os.environ.get("QMPSERVER_RECORD") == "1":
        outcomes = _record(need("qemu-img"), lines, _folder(tmp_path / "theirs"))
        stories[story] = [[line, *outcome] for line, outcome in zip(lines, outcomes, strict=True)]
        RECORDING.write_text(json.dumps(stories, indent=1, sort_keys=True) + "\n")
    monkeypatch.chdir(_folder(tmp_path / "ours"))
    recorded = stories[story]
    assert [line for line, *_ in recorded] == lines, "the story is not the one that was recorded"
    for line, *expected in recorded:
        status = run("qmpserver", ["img", *shlex.split(line)])
        out, err = (_shaped(text, "qmpserver img") for text in capfd.readouterr())
        assert [line, status, out, err] == [line, *expected]


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
