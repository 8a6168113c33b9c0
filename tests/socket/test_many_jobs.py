"""Fifty jobs at once all end well, in bounded memory, and none of them waits for a disk that is stuck for another."""

import random
import shutil
from pathlib import Path
from typing import Any

from tests.images import judge, make_qcow2, qemu_img
from tests.socket.process import Client, DaemonProcess

COUNT = 50
MIB = 1 << 20
SIZE = 8 * MIB
BUDGET = COUNT * 4 * 2 * MIB
"""What all copy engines together may have in flight: four chunks of 2 MiB each."""

REST = 64 * MIB
"""What nodes, tables and buffers of the interpreter may take besides."""

KINDS = ("block-stream", "blockdev-mirror", "blockdev-backup", "block-commit")
BASE = {"file": {"driver": "file", "filename": "base.qcow2", "locking": "off"}, "read_only": True}
STUCK = COUNT
"""The number of a job whose target lets one byte through in a second."""


def run(client: Client, command: str, **arguments: Any) -> Any:
    reply = client.execute(command, **{name.replace("_", "-"): value for name, value in arguments.items()})
    assert "return" in reply, reply
    return reply["return"]


def add(client: Client, name: str, **options: Any) -> None:
    file = {"driver": "file", "filename": f"{name}.qcow2"}
    run(client, "blockdev-add", **{"driver": "qcow2", "node_name": name, "file": file, **options})


def start(client: Client, folder: Path, number: int) -> None:
    """Start a job over nodes of its own, whose data is in an image that all have in common."""
    kind, base, top, lower = KINDS[number % len(KINDS)], f"base{number}", f"top{number}", f"low{number}"
    for name in (top, lower):
        shutil.copy(folder / "empty.qcow2", folder / f"{name}.qcow2")
    known = {"job_id": f"j{number}", "device": top}
    if kind == "block-commit":
        add(client, lower)
        add(client, base, **BASE, backing=lower)
        add(client, top, backing=base)
        run(client, kind, **known, top_node=base, base_node=lower)
        return
    add(client, base, **BASE)
    add(client, top, backing=base)
    if kind == "block-stream":
        run(client, kind, **known)
        return
    add(client, lower)
    if number == STUCK:
        run(client, "blockdev-add", driver="throttle", node_name="slow", throttle_group="slow", file=lower)
    run(client, kind, **known, target="slow" if number == STUCK else lower, sync="full")


def peak_memory(process_id: int) -> int:
    """Return the most memory that a process has had, in bytes."""
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def test_fifty_jobs_end_beside_one_that_does_not(tmp_path: Path) -> None:
    (tmp_path / "seen.raw").write_bytes(random.Random(1).randbytes(SIZE))
    qemu_img("convert", "-O", "qcow2", tmp_path / "seen.raw", tmp_path / "base.qcow2")
    make_qcow2(tmp_path / "empty.qcow2", str(SIZE))
    with DaemonProcess("--qmp", "unix:qmp.sock", folder=tmp_path) as daemon:
        with Client.at(tmp_path / "qmp.sock") as client:
            run(client, "object-add", qom_type="throttle-group", id="slow", limits={"bps-total": 1})
            before = peak_memory(daemon.process.pid)
            for number in range(STUCK, -1, -1):
                start(client, tmp_path, number)
            while len(jobs := run(client, "query-jobs")) > 1 or jobs[0]["status"] == "ready":
                for job in jobs:
                    if job["status"] == "ready":
                        run(client, "job-complete", id=job["id"])
            assert (jobs[0]["id"], jobs[0]["status"]) == (f"j{STUCK}", "running")
            history = run(client, "x-query-job-history")
            assert {(job["outcome"], job.get("error")) for job in history} == {("completed", None)}
            assert len(history) == COUNT
            grown = peak_memory(daemon.process.pid) - before
            assert grown < BUDGET + REST
            run(client, "job-cancel", id=f"j{STUCK}")
        status, complaints = daemon.end(15)
    assert (status, complaints) == (0, "")
    for number in range(COUNT):
        copy = tmp_path / f"{'top' if KINDS[number % len(KINDS)] == 'block-stream' else 'low'}{number}.qcow2"
        assert judge(copy.read_bytes()) == ([], 0)
        if number < 2 * len(KINDS):
            qemu_img("compare", "-q", "-F", "raw", copy, tmp_path / "seen.raw")
