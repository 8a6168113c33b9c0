"""Make the domain that libvirt is asked to run, and its disks, which hold something."""

import subprocess
from pathlib import Path

from tests.peers import need

DISKS = ("vda", "sda", "hda", "hdc")

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
        _image("create", "-q", "-f", "raw", folder / name, "1M")
    for name, kind in (("a.qcow2", "qcow2"), ("s.qcow2", "qcow2"), ("i.raw", "raw")):
        _image("convert", "-f", kind, "-O", "raw", folder / name, folder / f"{name}.as-made")


def domain_xml(emulator: str | Path, folder: Path, machine: str = "pc-i440fx-7.2") -> str:
    """Describe a domain with a disk on each kind of bus."""
    disks = [
        _DISK.format(device="disk", kind="qcow2", file=folder / "a.qcow2", name="vda", bus="virtio", more=""),
        _DISK.format(device="disk", kind="qcow2", file=folder / "s.qcow2", name="sda", bus="scsi", more=""),
    ]
    last = "ide" if "440" in machine else "sata"
    names = ("hda", "hdc") if last == "ide" else ("sdx", "sdy")
    disks += [
        _DISK.format(device="disk", kind="raw", file=folder / "i.raw", name=names[0], bus=last, more=""),
        _DISK.format(
            device="cdrom", kind="raw", file=folder / "cd.iso", name=names[1], bus=last, more="<readonly/>"
        ),
    ]
    return _DOMAIN.format(machine=machine, emulator=emulator, disks="\n".join(disks))


def _image(*words: str | Path) -> None:
    subprocess.run([need("qemu-img"), *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def _write(file: Path, kind: str, command: str) -> None:
    subprocess.run([need("qemu-io"), "-f", kind, "-c", command, str(file)], check=True)
