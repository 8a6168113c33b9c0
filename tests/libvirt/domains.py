"""Make the domain that libvirt is asked to run, and its disks, which hold something."""

import os
import subprocess
import sys
from pathlib import Path

from tests.peers import need

ROOT = Path(__file__).parents[2]

ENCRYPTED = "luks.qcow2"
"""An image that needs a secret, even to be checked."""

_DOMAIN = """\
<domain type='qemu'>
  <name>x</name><uuid>11111111-2222-3333-4444-555555555555</uuid>
  <memory unit='MiB'>64</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='{machine}'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <emulator>{emulator}</emulator>
    <controller type='scsi' model='virtio-scsi'/>
{disks}
{more}
  </devices>
</domain>
"""

_DISK = """\
    <disk type='file' device='{device}'>
      <driver name='qemu' type='{kind}'/><source file='{file}'/><target dev='{name}' bus='{bus}'/>{more}
    </disk>"""


def make_disks(folder: Path) -> None:
    """Make a chain of two qcow2 images, a single one, a raw one and a disc, with data in all of them."""
    folder.mkdir()
    _image("create", "-q", "-f", "qcow2", folder / "base.qcow2", "16M")
    _write(folder / "base.qcow2", "qcow2", "write -q -P 0x11 0 3M")
    _image("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", folder / "base.qcow2", folder / "a.qcow2")
    _write(folder / "a.qcow2", "qcow2", "write -q -P 0x22 2M 2M")
    _image("create", "-q", "-f", "qcow2", folder / "s.qcow2", "16M")
    _write(folder / "s.qcow2", "qcow2", "write -q -P 0x33 0 1M")
    _image("create", "-q", "-f", "raw", folder / "i.raw", "8M")
    _write(folder / "i.raw", "raw", "write -q -P 0x44 1M 1M")
    for name in ("cd.iso", "other.iso"):
        _image("create", "-q", "-f", "raw", folder / name, "1440k")
    for name in ("spare.qcow2", "spare2.qcow2"):
        _image("create", "-q", "-f", "qcow2", folder / name, "4M")
    for name, kind in (("a.qcow2", "qcow2"), ("s.qcow2", "qcow2"), ("i.raw", "raw")):
        _image("convert", "-f", kind, "-O", "raw", folder / name, folder / f"{name}.as-made")


def domain_xml(
    emulator: str | Path,
    folder: Path,
    machine: str = "pc-i440fx-7.2",
    *,
    has_raw: bool = True,
    more: str = "",
) -> str:
    """Describe a domain with a disk on each kind of bus."""
    disks = [
        _disk("disk", "qcow2", folder / "a.qcow2", "vda", "virtio"),
        _disk("disk", "qcow2", folder / "s.qcow2", "sda", "scsi"),
    ]
    if has_raw:
        bus, names = ("ide", ("hda", "hdc")) if "440" in machine else ("sata", ("sdx", "sdy"))
        disks.append(_disk("disk", "raw", folder / "i.raw", names[0], bus))
        disks.append(_disk("cdrom", "raw", folder / "cd.iso", names[1], bus, more="<readonly/>"))
    return _DOMAIN.format(machine=machine, emulator=emulator, disks="\n".join(disks), more=more)


def _disk(device: str, kind: str, file: Path, name: str, bus: str, *, more: str = "") -> str:
    return _DISK.format(device=device, kind=kind, file=file, name=name, bus=bus, more=more)


def _image(*words: str | Path) -> None:
    subprocess.run([need("qemu-img"), *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def _write(file: Path, kind: str, command: str) -> None:
    subprocess.run([need("qemu-io"), "-f", kind, "-c", command, str(file)], check=True)


def make_encrypted(folder: Path) -> None:
    """Make an encrypted image that holds something."""
    file = folder / ENCRYPTED
    secret = ("--object", "secret,id=s,data=123456")
    options = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10"
    # qemu-img now and then cannot tell how fast a busy machine is, and gives up.
    ours = (sys.executable, "-m", "qmpserver", "img")
    words: list[str | Path] = [*ours, "create", "-q", *secret, "-f", "qcow2", "-o", options, file, "4M"]
    subprocess.run(words, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    where = f"driver=qcow2,file.filename={file},encrypt.key-secret=s"
    words = [need("qemu-io"), *secret, "-c", "write -q -P 0x66 0 64k", "--image-opts", where]
    subprocess.run(words, check=True)
