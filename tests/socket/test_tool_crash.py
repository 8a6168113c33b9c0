"""A tool killed at any moment leaves sound images that show what they showed."""

import contextlib
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.images import qemu_check, qemu_img
from tests.socket.crashing import seeds
from tests.torture.tool_cuts import shown
from tests.torture.tool_scenes import TOP, Layer, Scene

_UNITS = 128
_LAYERS = (Layer("base", _UNITS), Layer("top", _UNITS, "base", "cluster_size=4k"))
_SCENES = (
    Scene(("rebase", "-c", "-b", "", TOP), _LAYERS),
    Scene(("commit", "-q", TOP), _LAYERS),
)


def _run(words: tuple[str, ...], image: Path, patience_s: float) -> bool:
    """Run the image tool; say whether it ended before it was killed."""
    command = [
        sys.executable,
        "-m",
        "qmpserver",
        "img",
        *(str(image) if word == TOP else word for word in words),
    ]
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(command, check=True, timeout=patience_s)
        return True
    return False


@pytest.mark.parametrize("scene", _SCENES, ids=lambda scene: str(scene.words[0]))
def test_killed_at_any_moment_it_has_done_no_harm(tmp_path: Path, scene: Scene) -> None:
    top = scene.build(tmp_path / "work", random.Random(1))
    before = shown(top)
    whole = tmp_path / "whole"
    shutil.copytree(top.parent, whole)
    begun = time.monotonic()
    assert _run(scene.words, whole / top.name, 60)
    lasted = time.monotonic() - begun
    for seed in seeds(3):
        left = tmp_path / f"left{seed}"
        shutil.copytree(top.parent, left)
        _run(scene.words, left / top.name, lasted * random.Random(seed).uniform(0.4, 0.95))
        for layer in scene.layers:
            assert not qemu_check(left / layer.name).keys() - {"leaks"}
        assert shown(left / top.name) == before
        qemu_img("check", "-q", "-r", "leaks", "-f", "qcow2", left / top.name)
