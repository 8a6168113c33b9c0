"""virtnbdbackup backs a running domain of ours up, whole and then what has changed, and restores it."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.libvirt.domains import domain_xml, make_disks
from tests.libvirt.libvirtd import Libvirt
from tests.peers import need

DISKS = {"a.qcow2": "/machine/peripheral/virtio-disk0/virtio-backend", "s.qcow2": "scsi0-0-0-0"}
CHANGES = ("write -q -P 0x77 4M 128k", "write -q -z 8M 64k", "discard -q 64k 128k")


@pytest.fixture
def folder(libvirt: Libvirt, emulator: Path, tmp_path: Path) -> Iterator[Path]:
    """Run a domain whose disks are in a folder."""
    for program in ("virtnbdbackup", "virtnbdrestore", "qemu-nbd"):
        need(program)
    folder = tmp_path / "disks"
    make_disks(folder)
    (folder / "x.xml").write_text(domain_xml(emulator, folder, has_raw=False))
    said(libvirt, "define", str(folder / "x.xml"))
    said(libvirt, "start", "x")
    yield folder
    libvirt.virsh("destroy", "x")
    libvirt.virsh("undefine", "x", "--checkpoints-metadata")


def said(libvirt: Libvirt, *words: str) -> str:
    answer = libvirt.virsh(*words)
    assert answer.status == 0, answer.text
    return answer.text


def back_up(libvirt: Libvirt, folder: Path, level: str) -> None:
    where = ("-o", folder / "backup", "-S", folder, "-f", folder / "backup.sock")
    answer = libvirt.run_inside("virtnbdbackup", "-d", "x", "-l", level, "-n", *where)
    assert answer.status == 0, answer.text


def restore(libvirt: Libvirt, folder: Path, into: str, *until: str) -> None:
    where = ("-i", folder / "backup", "-o", folder / into, "-f", folder / "restore.sock")
    answer = libvirt.run_inside("virtnbdrestore", "-n", *where, *until)
    assert answer.status == 0, answer.text


def change(libvirt: Libvirt, command: str) -> None:
    """Let a guest write, as far as there is one."""
    for qdev in DISKS.values():
        line = f'qemu-io -d {qdev} "{command}"'
        assert said(libvirt, "qemu-monitor-command", "x", "--hmp", line).strip() == ""


def compare(one: Path, other: Path) -> None:
    compared = subprocess.run(
        [need("qemu-img"), "compare", "-U", one, other], stdout=subprocess.PIPE, text=True, check=False
    )
    assert compared.returncode == 0, compared.stdout


def test_a_backup_and_its_increment_are_restored(libvirt: Libvirt, folder: Path) -> None:
    back_up(libvirt, folder, "full")
    for command in CHANGES:
        change(libvirt, command)
    back_up(libvirt, folder, "inc")
    restore(libvirt, folder, "whole", "-u", "virtnbdbackup.0")
    restore(libvirt, folder, "all")
    said(libvirt, "destroy", "x")
    for name in DISKS:
        compare(folder / "whole" / name, folder / f"{name}.as-made")
        compare(folder / "all" / name, folder / name)
        changed = subprocess.run(
            [need("qemu-img"), "compare", folder / name, folder / f"{name}.as-made"], check=False
        )
        assert changed.returncode == 1
