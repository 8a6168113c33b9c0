"""Say what PCI devices tell of themselves before anybody sets them up, as facts of QEMU 11.1."""

from dataclasses import dataclass
from functools import cache

_ROWS = """
pcie-root-port 1b36:000c 0604 1 -
pci-bridge 1b36:0001 0604 1 -
pcie-pci-bridge 1b36:000e 0604 1 -
ioh3420 8086:3420 0604 1 -
x3130-upstream 104c:8232 0604 0 -
xio3130-downstream 104c:8233 0604 0 -
i82801b11-bridge 8086:244e 0604 0 -
pxb 1b36:0001 0604 0 -
pxb-pcie 1b36:000b 0600 0
virtio-blk-pci 1af4:1001 0100 1 1af4:0002
virtio-blk-pci-non-transitional 1af4:1042 0100 1
virtio-scsi-pci 1af4:1004 0100 1 1af4:0008
virtio-scsi-pci-non-transitional 1af4:1048 0100 1
virtio-serial-pci 1af4:1003 0780 1 1af4:0003
virtio-serial-pci-non-transitional 1af4:1043 0780 1
virtio-balloon-pci 1af4:1002 00ff 1 1af4:0005
virtio-balloon-pci-non-transitional 1af4:1045 00ff 1
virtio-rng-pci 1af4:1005 00ff 1 1af4:0004
virtio-rng-pci-non-transitional 1af4:1044 00ff 1
virtio-net-pci 1af4:1000 0200 1 1af4:0001
virtio-net-pci-non-transitional 1af4:1041 0200 1
nvme 1b36:0010 0108 1
lsi53c895a 1000:0012 0100 1 0000:1000
lsi53c810 1000:0001 0100 1 0000:1000
megasas 1000:0060 0104 1 1000:1013
megasas-gen2 1000:0079 0104 1 1000:9261
mptsas1068 1000:0054 0100 1 1000:8000
am53c974 1022:2020 0100 1
dc390 1022:2020 0100 1
pvscsi 15ad:07c0 0100 1 15ad:07c0
ich9-ahci 8086:2922 0106 1
piix3-ide 8086:7010 0101 0
piix4-ide 8086:7111 0101 0
piix3-usb-uhci 8086:7020 0c03 4
piix4-usb-uhci 8086:7112 0c03 4
ich9-usb-ehci1 8086:293a 0c03 4
ich9-usb-ehci2 8086:293c 0c03 4
ich9-usb-uhci1 8086:2934 0c03 1
ich9-usb-uhci2 8086:2935 0c03 2
ich9-usb-uhci3 8086:2936 0c03 3
ich9-usb-uhci4 8086:2937 0c03 1
ich9-usb-uhci5 8086:2938 0c03 2
ich9-usb-uhci6 8086:2939 0c03 3
qemu-xhci 1b36:000d 0c03 1
nec-usb-xhci 1033:0194 0c03 1
usb-ehci 8086:24cd 0c03 4
pci-ohci 106b:003f 0c03 1
pci-serial 1b36:0002 0700 1
e1000 8086:100e 0200 1
e1000e 8086:10d3 0200 1 8086:0000
rtl8139 10ec:8139 0200 1
VGA 1234:1111 0300 0
cirrus-vga 1013:00b8 0300 0
virtio-vga 1af4:1050 0300 1
virtio-gpu-pci 1af4:1050 0380 1
bochs-display 1234:1111 0380 0
secondary-vga 1234:1111 0380 0
vmware-svga 15ad:0405 0300 0 15ad:0405
pvpanic-pci 1b36:0011 0880 0
i6300esb 8086:25ab 0880 0
virtio-keyboard-pci 1af4:1052 0900 1
virtio-mouse-pci 1af4:1052 0902 1
virtio-tablet-pci 1af4:1052 0980 1
intel-hda 8086:2668 0403 1
ich9-intel-hda 8086:293e 0403 1
AC97 8086:2415 0401 1
ES1370 1274:5000 0401 1 4942:4c4c
i440FX 8086:1237 0600 0
PIIX3 8086:7000 0601 0
PIIX4_PM 8086:7113 0680 1
mch 8086:29c0 0600 0
ICH9-LPC 8086:2918 0601 0
ICH9-SMB 8086:2930 0c05 1
"""
"""A type, its vendor and device, its class, its interrupt pin, and its subsystem if that is not `_USUAL`."""

_USUAL = "1af4:1100"
_NONE = "-"

CLASS_NAMES = {
    0x0100: "SCSI controller",
    0x0101: "IDE controller",
    0x0104: "RAID controller",
    0x0106: "SATA controller",
    0x0200: "Ethernet controller",
    0x0300: "VGA controller",
    0x0380: "Display controller",
    0x0401: "Audio controller",
    0x0403: "Audio controller",
    0x0600: "Host bridge",
    0x0601: "ISA bridge",
    0x0604: "PCI bridge",
    0x0680: "Bridge",
    0x0700: "Serial port",
    0x0900: "Keyboard",
    0x0902: "Mouse",
    0x0C03: "USB controller",
    0x0C05: "SMBus",
}
"""What ``query-pci`` calls some classes."""


@dataclass(frozen=True, slots=True)
class PciIdentity:
    """What a PCI device tells of itself.

    Attributes:
        vendor: Who made it.
        device: What it is.
        class_code: What kind of thing it is.
        pin: Which interrupt line it has, counted from 1; 0 for none.
        subsystem: Whose card it is on, and which, or None.
    """

    vendor: int
    device: int
    class_code: int
    pin: int
    subsystem: tuple[int, int] | None


@cache
def _identities() -> dict[str, PciIdentity]:
    return {row.split()[0]: _parse(row.split()) for row in _ROWS.strip().splitlines()}


def _parse(words: list[str]) -> PciIdentity:
    subsystem = words[4] if len(words) > 4 else _USUAL
    return PciIdentity(
        *_pair(words[1]), int(words[2], 16), int(words[3]), None if subsystem == _NONE else _pair(subsystem)
    )


def _pair(written: str) -> tuple[int, int]:
    first, second = written.split(":")
    return int(first, 16), int(second, 16)


def identity_of(type_name: str) -> PciIdentity:
    """Return what devices of a type tell of themselves.

    Raises:
        KeyError: It is no type of PCI device.
    """
    return _identities()[type_name]
