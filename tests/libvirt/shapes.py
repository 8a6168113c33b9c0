"""List the command lines that libvirt 9.0 was seen to make, by what is in the domain; `DIR` stands for a folder."""

from collections.abc import Sequence
from dataclasses import dataclass

PC, Q35 = "pc-i440fx-7.2", "pc-q35-7.2"


@dataclass(frozen=True, slots=True)
class Shape:
    """What distinguishes a command line from others.

    Attributes:
        options: What comes after what they all have.
        disks: What ``query-block`` calls them.
        board: What the machine is built on.
        accelerator: What is to run the guest.
        others: The ids of further devices.
    """

    options: Sequence[str]
    disks: Sequence[str]
    board: str = PC
    accelerator: str = "tcg"
    others: Sequence[str] = ()

    def words(self, monitor_fd: int) -> list[str]:
        """Return the whole line."""
        said = _BEFORE.format(board=self.board, accelerator=self.accelerator, monitor_fd=monitor_fd)
        return [word for line in (*said.splitlines(), *self.options, *_AFTER) for word in line.split(" ", 1)]


_BEFORE = """\
-name guest=x,debug-threads=on
-S
-object {{"qom-type":"secret","id":"masterKey0","format":"raw","file":"DIR/master-key.aes"}}
-machine {board},usb=off,dump-guest-core=off,memory-backend=pc.ram
-accel {accelerator}
-cpu qemu64
-m 64
-object {{"qom-type":"memory-backend-ram","id":"pc.ram","size":67108864}}
-overcommit mem-lock=off
-smp 1,sockets=1,cores=1,threads=1
-uuid 11111111-2222-3333-4444-555555555555
-display none
-no-user-config
-nodefaults
-chardev socket,id=charmonitor,fd={monitor_fd},server=on,wait=off
-mon chardev=charmonitor,id=monitor,mode=control
-rtc base=utc
-no-shutdown
-boot strict=on"""

_AFTER = (
    '-audiodev {"id":"audio1","driver":"none"}',
    "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
    "-msg timestamp=on",
)


def _storage(file: str, more: str = "", number: int = 1) -> str:
    return (
        f'-blockdev {{"driver":"file","filename":"DIR/{file}",{more}'
        f'"node-name":"libvirt-{number}-storage","auto-read-only":true,"discard":"unmap"}}'
    )


def _format(driver: str, more: str = "", number: int = 1, read_only: str = "false") -> str:
    return (
        f'-blockdev {{"node-name":"libvirt-{number}-format","read-only":{read_only},{more}'
        f'"driver":"{driver}","file":"libvirt-{number}-storage"}}'
    )


def _virtio(bus: str = "pci.0", addr: str = "0x2", node: str = "libvirt-1-format", more: str = "") -> str:
    return (
        f'-device {{"driver":"virtio-blk-pci","bus":"{bus}","addr":"{addr}",'
        f'"drive":"{node}","id":"virtio-disk0","bootindex":1{more}}}'
    )


_QCOW2 = (_storage("a.qcow2"), _format("qcow2"))
_VIRTIO = ("/machine/peripheral/virtio-disk0/virtio-backend",)
_UNCACHED = '"cache":{"direct":true,"no-flush":false},'
_WRITTEN_THROUGH = '"cache":{"direct":false,"no-flush":false},'

SHAPES = {
    "virtio-blk": Shape((*_QCOW2, _virtio()), _VIRTIO),
    "virtio-blk on q35": Shape(
        (
            '-device {"driver":"pcie-root-port","port":8,"chassis":1,"id":"pci.1","bus":"pcie.0","multifunction":true,"addr":"0x1"}',
            '-device {"driver":"pcie-root-port","port":9,"chassis":2,"id":"pci.2","bus":"pcie.0","addr":"0x1.0x1"}',
            *_QCOW2,
            _virtio("pci.1", "0x0"),
        ),
        _VIRTIO,
        Q35,
        others=("pci.1", "pci.2"),
    ),
    "with KVM": Shape((*_QCOW2, _virtio()), _VIRTIO, accelerator="kvm"),
    "a balloon": Shape(
        (
            *_QCOW2,
            _virtio(),
            '-device {"driver":"virtio-balloon-pci","id":"balloon0","bus":"pci.0","addr":"0x3"}',
        ),
        _VIRTIO,
        others=("balloon0",),
    ),
    "iothread, written through, copied on read": Shape(
        (
            '-object {"qom-type":"iothread","id":"iothread1"}',
            _storage("a.qcow2", f'"aio":"threads",{_WRITTEN_THROUGH}'),
            _format("qcow2", f'"discard":"unmap","detect-zeroes":"unmap",{_WRITTEN_THROUGH}'),
            '-blockdev {"driver":"copy-on-read","node-name":"libvirt-CoR-vda","file":"libvirt-1-format","discard":"unmap"}',
            _virtio(
                node="libvirt-CoR-vda",
                more=',"iothread":"iothread1","num-queues":2,"write-cache":"off","werror":"stop","rerror":"ignore"',
            ),
        ),
        _VIRTIO,
    ),
    "virtio-scsi": Shape(
        (
            '-device {"driver":"virtio-scsi-pci","id":"scsi0","bus":"pci.0","addr":"0x2"}',
            *_QCOW2,
            (
                '-device {"driver":"scsi-hd","bus":"scsi0.0","channel":0,"scsi-id":0,"lun":0,"device_id":"S",'
                '"drive":"libvirt-1-format","id":"scsi0-0-0-0","bootindex":1,"wwn":5764824127192592810,'
                '"vendor":"V","product":"P","serial":"S"}'
            ),
        ),
        ("scsi0-0-0-0",),
        others=("scsi0",),
    ),
    "SATA and an empty drive": Shape(
        (
            _storage("i.raw", number=2),
            _format("raw", number=2),
            '-device {"driver":"ide-hd","bus":"ide.0","drive":"libvirt-2-format","id":"sata0-0-0","bootindex":1}',
            '-device {"driver":"ide-cd","bus":"ide.1","id":"sata0-0-1"}',
        ),
        ("sata0-0-0", "sata0-0-1"),
        Q35,
    ),
    "a floppy": Shape(
        (
            _storage("other.iso"),
            _format("raw"),
            '-device {"driver":"floppy","unit":0,"drive":"libvirt-1-format","id":"fdc0-0-0"}',
        ),
        ("fdc0-0-0",),
    ),
    "a part of what NBD offers": Shape(
        (
            (
                '-blockdev {"driver":"nbd","server":{"type":"unix","path":"DIR/nbd.sock"},"export":"e",'
                '"node-name":"libvirt-1-storage","auto-read-only":true,"discard":"unmap"}'
            ),
            _format("raw", '"offset":1048576,"size":1048576,', read_only="true"),
            _virtio(),
        ),
        _VIRTIO,
    ),
    "a block device and a disc": Shape(
        (
            (
                '-blockdev {"driver":"host_device","filename":"DEVICE","aio":"native","node-name":"libvirt-2-storage",'
                f'{_UNCACHED}"auto-read-only":true,"discard":"unmap"}}'
            ),
            _format("raw", _UNCACHED, number=2),
            _virtio(node="libvirt-2-format", more=',"write-cache":"on"'),
            _storage("cd.iso"),
            _format("raw", read_only="true"),
            '-device {"driver":"ide-cd","bus":"ide.1","unit":0,"drive":"libvirt-1-format","id":"ide0-1-0"}',
        ),
        (*_VIRTIO, "ide0-1-0"),
    ),
    "a console and a channel to an agent": Shape(
        (
            '-device {"driver":"virtio-serial-pci","id":"virtio-serial0","bus":"pci.0","addr":"0x2"}',
            *_QCOW2,
            _virtio(addr="0x3"),
            "-chardev pty,id=charserial0",
            '-device {"driver":"isa-serial","chardev":"charserial0","id":"serial0","index":0}',
            "-chardev socket,id=charchannel0,path=DIR/agent.sock,server=on,wait=off",
            (
                '-device {"driver":"virtserialport","bus":"virtio-serial0.0","nr":1,"chardev":"charchannel0",'
                '"id":"channel0","name":"org.qemu.guest_agent.0"}'
            ),
        ),
        _VIRTIO,
        others=("virtio-serial0", "serial0", "channel0"),
    ),
    "a console in a file": Shape(
        (
            *_QCOW2,
            _virtio(),
            "-add-fd set=0,fd=FD,opaque=serial0-log",
            "-chardev file,id=charserial0,path=/dev/fdset/0,append=on",
            '-device {"driver":"isa-serial","chardev":"charserial0","id":"serial0","index":0}',
        ),
        _VIRTIO,
        others=("serial0",),
    ),
    "a network": Shape(
        (
            *_QCOW2,
            _virtio(addr="0x3"),
            '-netdev {"type":"tap","fd":"FD","id":"hostnet0"}',
            (
                '-device {"driver":"virtio-net-pci","netdev":"hostnet0","id":"net0","mac":"52:54:00:10:59:5d",'
                '"bus":"pci.0","addr":"0x2"}'
            ),
        ),
        _VIRTIO,
        others=("net0",),
    ),
    "USB storage": Shape(
        (
            '-device {"driver":"qemu-xhci","id":"usb","bus":"pci.0","addr":"0x2"}',
            *_QCOW2,
            (
                '-device {"driver":"usb-storage","bus":"usb.0","port":"1","drive":"libvirt-1-format","id":"usb-disk0",'
                '"bootindex":1,"removable":false}'
            ),
        ),
        ("/machine/peripheral/usb-disk0/usb-disk0.0/legacy[0]",),
        others=("usb",),
    ),
}
"""Limits are no shape of their own: libvirt sets them when the machine is there."""
