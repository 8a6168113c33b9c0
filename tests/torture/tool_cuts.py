"""Cut the power while a tool works on images, and judge what is left as QEMU sees it."""

import random
import shutil
import tempfile
from pathlib import Path

import pytest

from qmpserver.engine import DRIVERS
from tests.images import qemu_check, qemu_img
from tests.torture import recording
from tests.torture.recording import Recording
from tests.torture.tool_scenes import TOP, Scene
from tests.unit.cli.img.disks import img


def shown(path: Path) -> bytes:
    """Return what an image shows, as QEMU reads it."""
    raw = path.with_name(f"{path.name}.shown")
    qemu_img("convert", "-U", "-f", "qcow2", "-O", "raw", path, raw)
    data = raw.read_bytes()
    raw.unlink()
    return data


class Run:
    """One run of a tool, recorded.

    Args:
        scene: What is run.
        folder: Where to put files.
        seed: What the images are made from.
    """

    def __init__(self, scene: Scene, folder: Path, seed: int) -> None:
        self._scene = scene
        self._left = folder / "left"
        self._rng = random.Random(seed)
        self._top = scene.build(folder / "work", self._rng)
        self._allowed = {shown(self._top)}
        self._recording = Recording(self._top.parent)
        words = [str(self._top) if word == TOP else word for word in scene.words]
        with pytest.MonkeyPatch.context() as patch, self._recording.running():
            patch.setitem(DRIVERS, "file", recording.TARGET)
            status = img(*words)
        assert status == 0, words
        self._allowed.add(shown(self._top))

    def at_end(self) -> None:
        """See that what the tool called done is certain."""
        for name, data in self._recording.after_cut(len(self._recording.order), self._rng).items():
            assert data == (self._top.parent / name).read_bytes(), f"{name} is not certain"

    def cut(self, times: int) -> None:
        """Cut the power so many times, half of them just before a flush.

        Raises:
            AssertionError: Something is lost.
        """
        flushes = self._recording.flushes()
        for number in range(times):
            is_any = number % 2 or not flushes
            at = self._rng.randint(1, len(self._recording.order)) if is_any else self._rng.choice(flushes)
            self._judge(at)

    def _judge(self, at: int) -> None:
        shutil.rmtree(self._left, ignore_errors=True)
        self._left.mkdir()
        for name, data in self._recording.after_cut(at, self._rng).items():
            (self._left / name).write_bytes(data)
        try:
            for name in self._recording.names:
                self._check(self._left / name)
            assert shown(self._left / self._top.name) in self._allowed, "it shows something else"
        except AssertionError as error:
            kept = shutil.copytree(self._left, tempfile.mkdtemp(prefix="powercut-"), dirs_exist_ok=True)
            error.add_note(f"{self._scene.words}: cut at {at} of {len(self._recording.order)}; left: {kept}")
            raise

    def _check(self, path: Path) -> None:
        if self._scene.damage is not None:
            qemu_img("check", "-q", "-f", "qcow2", "-r", "all", path)
        assert not qemu_check(path).keys() - {"leaks"}, path.name
