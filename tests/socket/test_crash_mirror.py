"""A server killed in the middle of a mirror or a commit costs no data: chains show what they showed."""

import random
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.differential.duel import OURS, Daemon
from tests.images import qemu_check, qemu_img
from tests.peers import need
from tests.socket.crashing import seeds

SIZE = 16 << 20


def make_chain(folder: Path, seed: int) -> Path:
    """Make three layers with data in each, and a target; return what a reader must see."""
    need("qemu-img")
    rng = random.Random(seed)
    data = bytearray(SIZE)
    names: list[str] = []
    for name in ("base", "middle", "top"):
        for _ in range(10):
            offset = rng.randrange(0, SIZE - (1 << 20))
            piece = rng.randbytes(rng.randrange(1, 1 << 20))
            data[offset : offset + len(piece)] = piece
        seen = folder / "seen.raw"
        seen.write_bytes(data)
        backing = ["-B", names[-1], "-F", "qcow2"] if names else []
        qemu_img("convert", "-f", "raw", "-O", "qcow2", *backing, seen, folder / f"{name}.qcow2")
        names.append(str(folder / f"{name}.qcow2"))
    qemu_img("create", "-q", "-f", "qcow2", folder / "target.qcow2", str(SIZE))
    return folder / "seen.raw"


def run(daemon: Daemon, command: str, **arguments: Any) -> None:
    wire = {name.replace("_", "-"): value for name, value in arguments.items()}
    assert daemon.execute(command, wire) == {"return": {}}


def add(daemon: Daemon, name: str, **options: Any) -> None:
    file = {"driver": "file", "filename": f"{name}.qcow2"}
    run(daemon, "blockdev-add", driver="qcow2", node_name=name, file=file, **options)


def add_all(daemon: Daemon) -> None:
    add(daemon, "base", read_only=True)
    add(daemon, "middle", read_only=True, backing="base")
    add(daemon, "top", backing="middle")
    add(daemon, "target")


JOBS: dict[str, tuple[str, dict[str, Any]]] = {
    "mirror": ("blockdev-mirror", {"target": "target", "sync": "full"}),
    "commit": ("block-commit", {"top-node": "middle", "base-node": "base"}),
    "active commit": ("block-commit", {"base-node": "base"}),
}


@pytest.mark.parametrize("kind", JOBS)
@pytest.mark.parametrize("seed", seeds(2))
def test_killed_at_any_moment_nothing_is_lost(tmp_path: Path, seed: int, kind: str) -> None:
    seen = make_chain(tmp_path, seed)
    rng = random.Random(seed)
    command, arguments = JOBS[kind]
    with Daemon(OURS, tmp_path) as daemon:
        add_all(daemon)
        speed = rng.randrange(0, 256) << 20
        assert daemon.execute(command, {"job-id": "j", "device": "top", "speed": speed, **arguments}) == {
            "return": {}
        }
        wanted = rng.randrange(SIZE)
        while (jobs := daemon.execute("query-jobs")["return"]) and jobs[0]["current-progress"] < wanted:
            if jobs[0]["status"] == "ready":
                daemon.execute("job-complete", {"id": "j"})
        daemon.process.send_signal(signal.SIGKILL)
        daemon.process.wait()
    for name in ("base", "middle", "top", "target"):
        assert set(qemu_check(tmp_path / f"{name}.qcow2")) <= {"leaks"}
    qemu_img("compare", "-q", "-F", "raw", tmp_path / "top.qcow2", seen)

    with Daemon(OURS, tmp_path) as daemon:
        add(daemon, "top")
        run(daemon, "block-commit", job_id="j", device="top")
        daemon.wait("BLOCK_JOB_READY")
        run(daemon, "job-complete", id="j")
        daemon.wait("STATUS=null")
    qemu_img("compare", "-q", "-F", "raw", tmp_path / "base.qcow2", seen)
