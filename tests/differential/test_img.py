"""The image tool beside qemu-img 11.1, command line by command line: status, output, messages and images.

What 11.1 does is recorded, and whether 7.2 did the same; with QMPSERVER_RECORD=1 the qemu-img in use is recorded
anew, and has to be of version 11, while that of PATH is the older one.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from qmpserver.__main__ import run
from tests.differential.image_digest import Watch
from tests.differential.img_lines import DIFFERENT, STORIES
from tests.peers import need, peer_version

RECORDING = Path(__file__).parent / "recorded_img.json"
OLDER = (7, 2)

_VARYING = (
    # What depends on the file system, on how much of a last cluster is written, on the time, and on chance.
    (re.compile(r'(disk size: |file length: |"actual-size": )[^,\n]*'), r"\1?"),
    (re.compile(r'("virtual-size": )\d+(,\s+"filename": "[^"]*",\s+"format": "file")'), r"\1?\2"),
    (re.compile(r'("date-n?sec": )\d+'), r"\1?"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "DATE"),
    (re.compile(r"Run completed in [0-9.]+"), "Run completed in ?"),
    (re.compile(r'(Image end offset: |"image-end-offset": )\d+'), r"\1?"),
    (re.compile(r"(?:    \([0-9.]+/100%\)[\r\n]+)+"), "PROGRESS\n"),
    (re.compile(r"(iters: |uuid: )\S+"), r"\1?"),
    (re.compile(r"#block\d+"), "#block"),
    # QEMU keeps no count of instructions in qemu-img and says 0; we leave it out.
    (re.compile(r'\s*"icount": 0,'), ""),
    (re.compile(r"(\d{4}:\d\d:\d\d\.\d{3}).*"), r"\1"),
    # Help is in our own words, and so is what a check says of rarer errors.
    (re.compile(r"^(  \S+=<[^>]*> *) - .*", re.MULTILINE), r"\1"),
    (re.compile(r"^\n.*(?:\n.*)?target filename to include those.*\n", re.MULTILINE), "\nMORE\n"),
    (re.compile(r"^\n.*there are more; name it to see them\.\n", re.MULTILINE), "\nMORE\n"),
    (re.compile(r"^(ERROR|Repairing) (?!cluster \d|OFLAG_COPIED|: counting).*", re.MULTILINE), r"\1 ?"),
    # The wrapper of an unpacked QEMU names the program behind it.
    (re.compile(r"[^\s']*/qemu-img\b"), "qemu-img"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command line: exit status, output, messages, and the images that it changed."""

    status: int
    out: str
    err: str
    images: dict[str, str]


def _shaped(text: str) -> str:
    for pattern, instead in _VARYING:
        text = pattern.sub(instead, text)
    return text.replace("qmpserver img", "qemu-img")


def _lines(story: str) -> list[str]:
    return [line for line in STORIES[story].splitlines() if line]


def _poke(line: str, folder: Path) -> bool:
    """Write into a file what the line says, if that is what it is about."""
    if not line.startswith("!poke "):
        return False
    _, filename, offset, data = line.split()
    with (folder / filename).open("r+b") as file:
        file.seek(int(offset))
        file.write(bytes.fromhex(data))
    return True


def _theirs(peer: str, story: str, folder: Path, *, looks: bool = True) -> Iterator[Outcome]:
    """Play a story on a real qemu-img, in an empty folder, with a look at the images or without."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    watch = Watch(folder) if looks else None
    for line in _lines(story):
        if _poke(line, folder):
            if watch:
                watch.look()
            continue
        ended = subprocess.run(
            [peer, *shlex.split(line)], cwd=folder, capture_output=True, timeout=60, check=False
        )
        out, err = (
            _shaped(text.decode(errors="replace").replace(peer, "qemu-img"))
            for text in (ended.stdout, ended.stderr)
        )
        yield Outcome(ended.returncode, out, err, watch.look() if watch else {})


def _ours(
    story: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Outcome]:
    """Play a story on our own, in an empty folder and in this process."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    watch = Watch(folder)
    for line in _lines(story):
        if _poke(line, folder):
            watch.look()
            continue
        # What was logged by a look at a damaged image is no message of the command.
        capfd.readouterr()
        status = run("qmpserver", ["img", *shlex.split(line)])
        out, err = (_shaped(text) for text in capfd.readouterr())
        yield Outcome(status, out, err, watch.look())


def _row(row: dict[str, Any], images: dict[str, str]) -> Outcome:
    return Outcome(row["status"], row["out"], row["err"], images)


def _commands(story: str) -> list[str]:
    return [line for line in _lines(story) if not line.startswith("!")]


def _record(story: str, tmp_path: Path) -> None:
    peer = need("qemu-img")
    version = subprocess.run([peer, "--version"], capture_output=True, text=True, check=True).stdout
    assert "version 11." in version, f"the recording is of QEMU 11, not of {version}"
    older = shutil.which("qemu-img")
    assert older is not None
    rows = zip(
        _commands(story),
        _theirs(peer, story, tmp_path / "theirs"),
        _theirs(older, story, tmp_path / "older"),
        strict=True,
    )
    stories = json.loads(RECORDING.read_text()) if RECORDING.exists() else {}
    stories[story] = [
        {
            "line": line,
            "status": told.status,
            "out": told.out,
            "err": told.err,
            "images": told.images,
            "older": told == before,
        }
        for line, told, before in rows
    ]
    kept = {name: stories[name] for name in STORIES if name in stories}
    RECORDING.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


@pytest.mark.parametrize("story", STORIES)
def test_a_story_goes_as_with_qemu_img(
    story: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if os.environ.get("QMPSERVER_RECORD") == "1":
        _record(story, tmp_path)
    recorded = json.loads(RECORDING.read_text())[story]
    assert [row["line"] for row in recorded] == _commands(story), "this is not the story that was recorded"
    theirs: dict[str, str] = {}
    ours: dict[str, str] = {}
    wrong: list[tuple[str, Outcome, Outcome]] = []
    for row, outcome in zip(recorded, _ours(story, tmp_path / "ours", monkeypatch, capfd), strict=True):
        theirs |= row["images"]
        ours |= outcome.images
        # QEMU removes what it could not make, whatever it was before; we leave it alone.
        changed = {*row["images"], *outcome.images} if not row["status"] else set()
        expected = _row(row, {name: theirs.get(name, "") for name in changed})
        told = replace(outcome, images={name: ours.get(name, "") for name in changed})
        if (told == expected) is ((story, row["line"]) in DIFFERENT):
            wrong.append((row["line"], told, expected))
    assert not wrong, "first ours, then QEMU's; the same where a line of DIFFERENT no longer is"


# To derive a key the real tool measures the processor for seconds, and gives up on a busy machine.
@pytest.mark.parametrize("story", STORIES.keys() - {"encryption"})
def test_what_is_recorded_is_what_the_installed_qemu_img_does(story: str, tmp_path: Path) -> None:
    peer, version = need("qemu-img"), peer_version("qemu-img")
    if version != OLDER and version[0] != 11:
        pytest.skip(f"compares with QEMU 7.2 and 11, and this one is {version}")
    recorded = json.loads(RECORDING.read_text())[story]
    for row, told in zip(recorded, _theirs(peer, story, tmp_path, looks=False), strict=True):
        if row["older"] or version != OLDER:
            assert (row["line"], told) == (row["line"], _row(row, {}))
