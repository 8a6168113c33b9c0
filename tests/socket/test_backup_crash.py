"""A server killed in the middle of a backup leaves the source as it was, and a target that checks clean."""

import random
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.differential.duel import OURS, Daemon
from tests.images import qemu_check, qemu_img
from tests.peers import need
from tests.socket.crashing import seeds

SIZE = 8 << 20


def make_images(folder: Path, seed: int) -> Path:
    """Make a source with data and an empty target; return what a reader of the source sees."""
    need("qemu-img")
    dice = random.Random(seed)
    data = bytearray(SIZE)
    for _ in range(6):
        offset = dice.randrange(SIZE - (1 << 20))
        data[offset : offset + (1 << 20)] = dice.randbytes(1 << 20)
    seen = folder / "seen.raw"
    seen.write_bytes(data)
    qemu_img("convert", "-f", "raw", "-O", "qcow2", seen, folder / "source.qcow2")
    qemu_img("create", "-q", "-f", "qcow2", folder / "target.qcow2", str(SIZE))
    return seen


def start(daemon: Daemon, **options: Any) -> None:
    for name in ("source", "target"):
        file = {"driver": "file", "filename": f"{name}.qcow2"}
        reply = daemon.execute("blockdev-add", {"driver": "qcow2", "node-name": name, "file": file})
        assert reply == {"return": {}}
    arguments = {"job-id": "j", "device": "source", "target": "target", "sync": "full"}
    assert daemon.execute("blockdev-backup", arguments | options) == {"return": {}}


@pytest.mark.parametrize("seed", seeds(3))
def test_killed_at_any_moment_a_backup_can_be_made_again(tmp_path: Path, seed: int) -> None:
    seen = make_images(tmp_path, seed)
    dice = random.Random(seed)
    before = (tmp_path / "source.qcow2").read_bytes()
    with Daemon(OURS, tmp_path) as daemon:
        start(daemon, speed=dice.randrange(64, 512) << 20, compress=seed % 2 == 1)
        wanted = dice.randrange(SIZE + SIZE // 8)
        while (jobs := daemon.execute("query-jobs")["return"]) and jobs[0]["current-progress"] < wanted:
            pass
        daemon.process.send_signal(signal.SIGKILL)
        daemon.process.wait()
    assert set(qemu_check(tmp_path / "target.qcow2")) <= {"leaks"}
    assert (tmp_path / "source.qcow2").read_bytes() == before

    with Daemon(OURS, tmp_path) as daemon:
        start(daemon)
        daemon.wait("STATUS=null")
        completed = [event for event in daemon.take_events() if event["event"] == "BLOCK_JOB_COMPLETED"]
        assert "error" not in completed[0]["data"]
        assert daemon.execute("blockdev-del", {"node-name": "target"}) == {"return": {}}
    assert set(qemu_check(tmp_path / "target.qcow2")) <= {"leaks"}
    qemu_img("compare", "-q", "-F", "raw", tmp_path / "target.qcow2", seen)
