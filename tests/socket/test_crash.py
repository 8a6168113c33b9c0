"""A server killed in the middle of a stream leaves an image that checks clean and can be streamed again."""

import random
import signal
from pathlib import Path

import pytest

from tests.differential.duel import OURS, Daemon
from tests.images import qemu_check, qemu_img
from tests.peers import need
from tests.socket.crashing import seeds

SIZE = 48 << 20


def make_chain(folder: Path, seed: int) -> Path:
    """Make a base with data and an overlay with some of its own; return what a reader must see."""
    need("qemu-img")
    rng = random.Random(seed)
    data = bytearray(SIZE)
    for _ in range(30):
        offset = rng.randrange(0, SIZE - (1 << 20))
        piece = rng.randbytes(rng.randrange(1, 1 << 20))
        data[offset : offset + len(piece)] = piece
    seen = folder / "seen.raw"
    seen.write_bytes(data)
    qemu_img("convert", "-f", "raw", "-O", "qcow2", seen, folder / "base.qcow2")
    qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "base.qcow2", folder / "top.qcow2")
    return seen


def add_top(daemon: Daemon) -> None:
    file = {"driver": "file", "filename": "top.qcow2"}
    reply = daemon.execute("blockdev-add", {"driver": "qcow2", "node-name": "top", "file": file})
    assert reply == {"return": {}}


@pytest.mark.parametrize("seed", seeds(6))
def test_killed_at_any_moment_the_image_has_leaks_at_most(tmp_path: Path, seed: int) -> None:
    seen = make_chain(tmp_path, seed)
    rng = random.Random(seed)
    with Daemon(OURS, tmp_path) as daemon:
        add_top(daemon)
        arguments = {"job-id": "j", "device": "top", "speed": rng.randrange(64, 512) << 20}
        assert daemon.execute("block-stream", arguments) == {"return": {}}
        wanted = rng.randrange(SIZE + SIZE // 8)
        while (jobs := daemon.execute("query-jobs")["return"]) and jobs[0]["current-progress"] < wanted:
            pass
        daemon.process.send_signal(signal.SIGKILL)
        daemon.process.wait()
    assert set(qemu_check(tmp_path / "top.qcow2")) <= {"leaks"}
    qemu_img("compare", "-q", "-F", "raw", tmp_path / "top.qcow2", seen)

    with Daemon(OURS, tmp_path) as daemon:
        add_top(daemon)
        assert daemon.execute("block-stream", {"job-id": "j", "device": "top"}) == {"return": {}}
        daemon.wait("STATUS=null")
        completed = [event for event in daemon.take_events() if event["event"] == "BLOCK_JOB_COMPLETED"]
        assert "error" not in completed[0]["data"]
    assert set(qemu_check(tmp_path / "top.qcow2")) <= {"leaks"}
    (tmp_path / "base.qcow2").unlink(missing_ok=True)
    qemu_img("compare", "-q", "-F", "raw", tmp_path / "top.qcow2", seen)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_a_running_stream_in_good_order(tmp_path: Path, how: signal.Signals) -> None:
    seen = make_chain(tmp_path, 1)
    with Daemon(OURS, tmp_path) as daemon:
        add_top(daemon)
        assert daemon.execute("block-stream", {"job-id": "j", "device": "top", "speed": 1 << 20}) == {
            "return": {}
        }
        daemon.process.send_signal(how)
        assert daemon.process.wait(10) == 0
    assert not (tmp_path / "qmp.sock").exists()
    assert qemu_check(tmp_path / "top.qcow2") == {}
    qemu_img("compare", "-q", "-F", "raw", tmp_path / "top.qcow2", seen)
