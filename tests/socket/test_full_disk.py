"""A job on a disk that is really full stops, says so, and goes on where it was once there is room."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.images import make_qcow2, qemu_check, qemu_img, qemu_io
from tests.socket.process import Client, DaemonProcess

MIB = 1 << 20
DISK = 12 * MIB
WITH_DISK = ("unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size={DISK} tmpfs disk && exec "$@"', "sh")
"""Run a program with a small disk of its own in the folder `disk`."""

JOBS: dict[str, tuple[str, dict[str, Any]]] = {
    "stream": ("block-stream", {"device": "top", "on-error": "enospc"}),
    "commit": ("block-commit", {"device": "top", "top-node": "middle", "on-error": "stop"}),
    "active commit": ("block-commit", {"device": "top", "base-node": "middle", "on-error": "enospc"}),
    "mirror": (
        "blockdev-mirror",
        {"device": "top", "target": "target", "sync": "full", "on-target-error": "stop"},
    ),
    "backup": (
        "blockdev-backup",
        {"device": "top", "target": "target", "sync": "full", "on-target-error": "enospc"},
    ),
}
WRITTEN = {
    "stream": "top",
    "commit": "base",
    "active commit": "middle",
    "mirror": "target",
    "backup": "target",
}
"""The image that each job writes: it lies on the small disk."""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a chain that shows 4 MiB of data, and a target."""
    folder = tmp_path_factory.mktemp("images")
    below: dict[str, str] = {}
    for layer, name in enumerate(("base", "middle", "top")):
        make_qcow2(folder / f"{name}.qcow2", "8M", **below)
        qemu_io(folder / f"{name}.qcow2", f"write -P {layer + 1} {layer}M {(3, 2, 1)[layer]}M")
        below = {"backing_file": f"{name}.qcow2", "backing_fmt": "qcow2"}
    qemu_io(folder / "middle.qcow2", "write -P 5 4M 2M")
    qemu_io(folder / "top.qcow2", "write -P 6 6M 2M")
    make_qcow2(folder / "target.qcow2", "8M")
    qemu_img("convert", "-O", "raw", folder / "top.qcow2", folder / "seen.raw")
    return folder


def need_own_disk(folder: Path) -> None:
    (folder / "disk").mkdir()
    tried = subprocess.run([*WITH_DISK, "true"], cwd=folder, capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no disk of one's own can be had here: {tried.stderr.strip()}")


class Told:
    """A client that keeps the events it meets."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.events: list[dict[str, Any]] = []

    def execute(self, command: str, **arguments: Any) -> Any:
        wire = {name.replace("_", "-"): value for name, value in arguments.items()}
        self._client.send(json.dumps({"execute": command, "arguments": wire}).encode())
        while "event" in (message := self._client.receive()):
            self.events.append(message)
        assert "return" in message, message
        return message["return"]

    def wait(self, name: str, **data: Any) -> dict[str, Any]:
        """Return the data of the next event that fits."""
        while True:
            event = self.events.pop(0) if self.events else self._client.receive()
            if event["event"] == name and data.items() <= event["data"].items():
                return dict(event["data"])


@pytest.mark.parametrize("kind", JOBS)
def test_a_full_disk_stops_a_job_until_there_is_room(tmp_path: Path, images: Path, kind: str) -> None:
    need_own_disk(tmp_path)
    shutil.copytree(images, tmp_path, dirs_exist_ok=True)
    with DaemonProcess("--qmp", "unix:qmp.sock", folder=tmp_path, launcher=WITH_DISK) as daemon:
        disk = Path(f"/proc/{daemon.process.pid}/root{tmp_path}/disk")
        written = disk / f"{WRITTEN[kind]}.qcow2"
        shutil.copy(images / written.name, written)
        for name in ("base.qcow2", "middle.qcow2", "top.qcow2", "target.qcow2"):
            if name != written.name:
                (disk / name).symlink_to(tmp_path / name)
        filler = disk / "filler"
        filler.write_bytes(bytes(free(disk) - MIB))
        with Client.at(tmp_path / "qmp.sock") as client:
            play(Told(client), kind, filler)
        assert daemon.end(15) == (0, "")


def free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def play(client: Told, kind: str, filler: Path) -> None:
    below: dict[str, str] = {}
    for name in ("base", "middle", "top", "target"):
        file = {"driver": "file", "filename": f"disk/{name}.qcow2"}
        options = below if name != "target" else {}
        client.execute("blockdev-add", driver="qcow2", node_name=name, file=file, **options)
        below = {"backing": name}
    command, arguments = JOBS[kind]
    client.execute(command, job_id="j", auto_dismiss=False, **arguments)
    error = client.wait("BLOCK_JOB_ERROR")
    # QEMU: all that a stream does is reading, through a filter that stores what it reads.
    operation = "read" if kind == "stream" else "write"
    assert error == {"device": "j", "operation": operation, "action": "stop"}
    client.wait("JOB_STATUS_CHANGE", status="paused")
    (job,) = client.execute("query-block-jobs")
    assert (job["status"], job["io-status"], job["paused"]) == ("paused", "nospace", True)
    # There is no more room than before: it stops again, and loses nothing by that.
    client.execute("job-resume", id="j")
    client.wait("BLOCK_JOB_ERROR", action="stop")
    client.wait("JOB_STATUS_CHANGE", status="paused")
    filler.unlink()
    client.execute("job-resume", id="j")
    if kind in ("active commit", "mirror"):
        client.wait("BLOCK_JOB_READY")
        client.execute("job-complete", id="j")
    assert "error" not in client.wait("BLOCK_JOB_COMPLETED")
    client.wait("JOB_STATUS_CHANGE", status="concluded")
    (job,) = client.execute("query-block-jobs")
    assert (job["io-status"], job["status"]) == ("ok", "concluded")
    client.execute("job-dismiss", id="j")
    # The disk goes with the server: what is on it has to be looked at before.
    for name in ("target", "top", "middle", "base"):
        client.execute("blockdev-del", node_name=name)
    disk = filler.parent
    written = disk / f"{WRITTEN[kind]}.qcow2"
    assert qemu_check(written) == {}
    qemu_img("compare", "-q", "-F", "raw", disk / top_of(kind), disk.parent / "seen.raw")


def top_of(kind: str) -> str:
    """Return the image that shows what the chain showed."""
    return {"mirror": "target.qcow2", "backup": "target.qcow2", "active commit": "middle.qcow2"}.get(
        kind, "top.qcow2"
    )
