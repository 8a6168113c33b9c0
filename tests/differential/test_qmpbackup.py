"""What qmpbackup asks of a machine goes as on QEMU 11.1, and the backups hold what the disk held.

It puts a copy-before-write filter over a disk, which leads old data to a fleecing image, and backs the disk up: whole
with a new persistent bitmap, and later what that bitmap has seen since.

Source: https://github.com/abbbi/qmpbackup
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.differential.duel import Step, step
from tests.differential.machine_session import Session, check_recording, compare
from tests.peers import need

RECORDING = Path(__file__).with_name("recorded_qmpbackup.json")
NODE, TARGET, FLEECE, FILTER = "disk", "qmpbackup-disk", "qmpbackup-disk-fleece", "qmpbackup-disk-cbw"
BITMAP = {"node": NODE, "name": "qmpbackup-disk-1f6b"}
JOB = "qmpbackup.disk.disk.qcow2"
DEVICES = {
    "virtio": ("virtio-blk,id=d,drive=disk", "/machine/peripheral/d/virtio-backend"),
    "SCSI": ("scsi-hd,id=d,drive=disk", "d"),
}
"""Each with what the program calls it."""


def run_of(level: str, qdev: str) -> Iterator[Step]:
    """Give the commands of one run of the program."""
    yield from (step("query-status"), step("query-name"), step("query-block"))
    yield image(TARGET, f"{level}.qcow2", aio="threads")
    yield image(FLEECE, f"{level}-fleece.qcow2")
    options: dict[str, Any] = {
        "driver": "copy-before-write",
        "node-name": FILTER,
        "file": NODE,
        "target": FLEECE,
    }
    options |= {"on-cbw-error": "break-snapshot", "cbw-timeout": 45}
    yield Step("blockdev-add", options | ({"bitmap": BITMAP} if level == "INC" else {}))
    yield Step("qom-set", {"path": qdev, "property": "drive", "value": FILTER})
    yield Step("transaction", {"actions": actions(level)}, "STATUS=null")
    yield step("query-block-jobs")
    yield Step("qom-set", {"path": qdev, "property": "drive", "value": NODE})
    yield from (step("blockdev-del", node_name=name) for name in (FILTER, TARGET, FLEECE))


def image(name: str, file: str, **options: Any) -> Step:
    below = {"driver": "file", "filename": file, **options}
    return Step("blockdev-add", {"driver": "qcow2", "node-name": name, "file": below})


def actions(level: str) -> list[dict[str, Any]]:
    """Begin a chain with a bitmap and everything, or go on with what that has seen."""
    job = {"device": NODE, "target": TARGET, "job-id": JOB, "speed": 0, "compress": False}
    if level == "INC":
        return [{"type": "blockdev-backup", "data": {**job, "sync": "incremental", "bitmap": BITMAP["name"]}}]
    return [
        {"type": "block-dirty-bitmap-add", "data": {**BITMAP, "persistent": True}},
        {"type": "blockdev-backup", "data": {**job, "sync": "full"}},
    ]


def write(qdev: str, command: str) -> Step:
    return Step("human-monitor-command", {"command-line": f'qemu-io -d {qdev} "{command}"'})


def session(name: str) -> Session:
    """Back a disk up, change it, back it up again, and clean up."""
    device, qdev = DEVICES[name]
    file = {"driver": "file", "filename": "disk.qcow2"}
    return Session(
        blockdevs=[{"driver": "qcow2", "node-name": NODE, "file": file}],
        devices=["virtio-scsi", device],
        steps=[
            *run_of("FULL", qdev),
            write(qdev, "write -q -P 0x55 1M 64k"),
            write(qdev, "write -q -z 3M 128k"),
            *run_of("INC", qdev),
            step("query-block"),
            Step("block-dirty-bitmap-remove", dict(BITMAP)),
        ],
    )


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for name in ("disk", "FULL", "FULL-fleece", "INC", "INC-fleece"):
        img("create", "-q", "-f", "qcow2", folder / f"{name}.qcow2", "8M")
    subprocess.run(
        [need("qemu-io"), "-f", "qcow2", "-c", "write -q -P 0x11 0 4M", folder / "disk.qcow2"], check=True
    )
    img("convert", "-O", "raw", folder / "disk.qcow2", folder / "as-made.raw")
    return folder


def img(*words: str | Path) -> None:
    subprocess.run([need("qemu-img"), *words], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("name", DEVICES)
def test_both_backups_hold_what_the_disk_held(name: str, images: Path, tmp_path: Path) -> None:
    compare(RECORDING, name, session(name), images, tmp_path)
    ours = tmp_path / "ours"
    img("compare", ours / "FULL.qcow2", ours / "as-made.raw")
    img("rebase", "-u", "-F", "qcow2", "-b", ours / "FULL.qcow2", ours / "INC.qcow2")
    img("compare", ours / "INC.qcow2", ours / "disk.qcow2")


@pytest.mark.parametrize("name", DEVICES)
def test_the_recording_is_qemus(name: str, images: Path, tmp_path: Path) -> None:
    check_recording(RECORDING, name, session(name), images, tmp_path)
