"""USB controllers and devices."""

from qmpserver.machine.devices.device_type import BusOffer, DeviceType
from qmpserver.machine.devices.types.groups import BLOCK, BOOT, ERRORS

USB_TYPES = (
    DeviceType(
        "usb-device",
        "device",
        "msos-desc:bool=on pcap:str port:str serial:str",
        is_abstract=True,
        bus="usb-bus",
    ),
    DeviceType("usb-storage-dev", "usb-device", is_abstract=True, offers=(BusOffer("SCSI"),)),
    DeviceType(
        "usb-storage",
        "usb-storage-dev",
        f"{BLOCK} {ERRORS} {BOOT} attached:bool commandlog:bool=off removable:bool=off",
        category="Storage",
    ),
    DeviceType("usb-bot", "usb-storage-dev", "attached:bool", category="Storage"),
    DeviceType(
        "usb-uas",
        "usb-device",
        "attached:bool log-scsi-req:uint32=0",
        category="Storage",
        offers=(BusOffer("SCSI"),),
    ),
    DeviceType("pci-uhci-usb", "pci-device", is_abstract=True, offers=(BusOffer("usb-bus"),)),
    DeviceType(
        "piix3-usb-uhci", "pci-uhci-usb", "bandwidth:uint32=1280 maxframes:uint32=128", category="USB"
    ),
    DeviceType(
        "piix4-usb-uhci", "pci-uhci-usb", "bandwidth:uint32=1280 maxframes:uint32=128", category="USB"
    ),
    DeviceType(
        "pci-ehci-usb", "pci-device", "maxframes:uint32=128", is_abstract=True, offers=(BusOffer("usb-bus"),)
    ),
    DeviceType("ich9-usb-ehci1", "pci-ehci-usb", category="USB", hotpluggable=False),
    DeviceType("ich9-usb-ehci2", "pci-ehci-usb", category="USB", hotpluggable=False),
    *(
        DeviceType(
            f"ich9-usb-uhci{number}",
            "pci-uhci-usb",
            "bandwidth:uint32=1280 firstport:uint32=0 masterbus:str maxframes:uint32=128",
            category="USB",
            hotpluggable=False,
        )
        for number in range(1, 7)
    ),
    DeviceType(
        "pci-xhci",
        "pci-device",
        "conditional-intr-mapping:bool=off msi:auto=auto msix:auto=auto",
        is_abstract=True,
        offers=(BusOffer("usb-bus"),),
    ),
    DeviceType(
        "qemu-xhci", "pci-xhci", "host:link<device> p2:uint32=4 p3:uint32=4 streams:bool=on", category="USB"
    ),
    DeviceType(
        "nec-usb-xhci",
        "pci-xhci",
        "host:link<device> intrs:uint32=16 p2:uint32=4 p3:uint32=4 slots:uint32=64 streams:bool=on",
        category="USB",
    ),
    DeviceType(
        "usb-hub",
        "usb-device",
        "attached:bool port-power:bool=off ports:uint32=8",
        category="Controller/Bridge/Hub",
    ),
    DeviceType("usb-ehci", "pci-ehci-usb", category="USB"),
    DeviceType(
        "pci-ohci",
        "pci-device",
        "firstport:uint32=0 masterbus:str num-ports:uint32=3",
        category="USB",
        description="Apple USB Controller",
        offers=(BusOffer("usb-bus"),),
        hotpluggable=False,
    ),
    DeviceType("usb-hid", "usb-device", is_abstract=True),
    DeviceType(
        "usb-tablet",
        "usb-hid",
        "attached:bool display:str head:uint32=0 usb_version:uint32=2",
        category="Input",
    ),
    DeviceType("usb-kbd", "usb-hid", "attached:bool display:str usb_version:uint32=2", category="Input"),
    DeviceType("usb-mouse", "usb-hid", "attached:bool usb_version:uint32=2", category="Input"),
    DeviceType(
        "usb-audio",
        "usb-device",
        "attached:bool audiodev:audiodev buffer:uint32=0 debug:uint32=0 multi:bool=off",
        category="Sound",
    ),
)
