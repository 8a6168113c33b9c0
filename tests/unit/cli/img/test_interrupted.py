"""What Ctrl-C leaves of an image that is written by a real process."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from qmpserver.__main__ import run
from qmpserver.cli.img import converter
from qmpserver.cli.img.progress import Progress
from qmpserver.drivers.file import copying
from qmpserver.units import MiB

_PATIENCE_S = 30.0
_SIZE = 64 * MiB


def _interrupted(words: Sequence[str | Path], folder: Path) -> int:
    """Run the image tool, press Ctrl-C once it has shown some progress, and return its status."""
    command = [sys.executable, "-m", "qmpserver", "img", *map(str, words)]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as process:
        deadline = threading.Timer(_PATIENCE_S, process.kill)
        deadline.start()
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            shown = b""
            while shown.count(b"%") < 2 or b"(0.00" in shown.split(b"%")[1]:
                piece = process.stdout.read(1)
                assert piece, process.stderr.read()
                shown += piece
            process.send_signal(signal.SIGINT)
            messages = process.stderr.read()
            status = process.wait()
        finally:
            deadline.cancel()
    assert messages == b""
    return status


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Make a raw image full of data."""
    path = tmp_path / "source.raw"
    piece = os.urandom(MiB)
    path.write_bytes(b"".join(piece[at:] + piece[:at] for at in range(_SIZE // MiB)))
    return path


def _check(path: Path, capfd: pytest.CaptureFixture[str]) -> dict[str, object]:
    """Check an image, in which at most leaks may be found."""
    status = run("qmpserver", ["img", "check", "-f", "qcow2", "--output", "json", str(path)])
    found: dict[str, object] = json.loads(capfd.readouterr().out)
    assert status in {0, 3}, found
    return found


def test_an_interrupted_conversion_ends_by_the_signal_and_leaves_a_sound_image(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "target.qcow2"
    words: list[str | Path] = ["convert", "-p", "-r", "8M", "-f", "raw", "-O", "qcow2", source, target]
    assert _interrupted(words, tmp_path) == -signal.SIGINT
    assert _check(target, capfd)["allocated-clusters"] in range(1, _SIZE >> 16)


def test_an_interrupted_commit_leaves_both_images_sound_and_what_they_show(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    base, top = tmp_path / "base.qcow2", tmp_path / "top.qcow2"
    assert run("qmpserver", ["img", "create", "-q", "-f", "qcow2", str(base), str(_SIZE)]) == 0
    making = ["create", "-q", "-f", "qcow2", "-b", str(base), "-F", "qcow2", str(top)]
    assert run("qmpserver", ["img", *making]) == 0
    assert run("qmpserver", ["img", "convert", "-n", "-f", "raw", "-O", "qcow2", str(source), str(top)]) == 0
    assert _interrupted(["commit", "-p", "-r", "8M", top], tmp_path) == -signal.SIGINT
    for path in (base, top):
        _check(path, capfd)
    compared = run("qmpserver", ["img", "compare", "-f", "raw", "-F", "qcow2", str(source), str(top)])
    assert (compared, capfd.readouterr().out) == (0, "Images are identical.\n")


def test_an_interrupted_rebase_leaves_the_old_backing_file_and_what_is_shown(
    source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    top = tmp_path / "top.qcow2"
    making = ["create", "-q", "-f", "qcow2", "-b", str(source), "-F", "raw", str(top)]
    assert run("qmpserver", ["img", *making]) == 0
    assert _interrupted(["rebase", "-p", "-c", "-b", "", top], tmp_path) == -signal.SIGINT
    _check(top, capfd)
    compared = run("qmpserver", ["img", "compare", "-f", "raw", "-F", "qcow2", str(source), str(top)])
    assert (compared, capfd.readouterr().out) == (0, "Images are identical.\n")
    run("qmpserver", ["img", "info", "--output", "json", str(top)])
    assert json.loads(capfd.readouterr().out)["backing-filename"] == str(source)


@pytest.mark.parametrize("together", [4 * MiB, 8 * MiB])
def test_a_conversion_that_the_host_makes_is_interrupted_between_its_chunks(
    source: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    together: int,
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(converter, "_HOST_CHUNK", 4 * MiB)
    monkeypatch.setattr(converter, "_TOGETHER", together)
    monkeypatch.setattr(copying, "is_better_in_pieces", lambda _: True)
    shown: list[float] = []

    def show(_self: Progress, done: float, _total: float) -> None:
        shown.append(done)
        if len(shown) == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Progress, "show", show)
    target = tmp_path / "target.qcow2"
    with pytest.raises(KeyboardInterrupt):
        run("qmpserver", ["img", "convert", "-f", "raw", "-O", "qcow2", str(source), str(target)])
    signal.signal(signal.SIGINT, before)
    assert shown == [0, together]
    assert _check(target, capfd)["allocated-clusters"] == together >> 16
