"""Consoles, network and sound cards, displays and what else there is."""

from collections.abc import Iterator
from itertools import chain

from qmpserver.machine.devices.device_type import BusOffer, DeviceType
from qmpserver.machine.devices.types.groups import EDID, MODERN, NIC


def _virtio_input(kind: str) -> Iterator[DeviceType]:
    """Describe a keyboard or the like that speaks virtio, and what carries it over PCI."""
    on_pci, device = f"virtio-{kind}-pci", f"virtio-{kind}-device"
    yield DeviceType(f"{on_pci}-base-type", "virtio-input-hid-pci", MODERN, is_abstract=True)
    yield DeviceType(on_pci, f"{on_pci}-base-type", backend=device, category="Input", alias=f"virtio-{kind}")
    yield DeviceType(device, "virtio-input-hid-device", category="Input")


OTHER_TYPES = (
    DeviceType(
        "virtio-serial-port",
        "device",
        "name:str nr:uint32=4294967295",
        is_abstract=True,
        bus="virtio-serial-bus",
    ),
    DeviceType("virtserialport", "virtio-serial-port", "chardev:chardev", category="Input"),
    DeviceType("virtconsole", "virtserialport", category="Input"),
    DeviceType(
        "isa-serial",
        "isa-device",
        "baudbase:uint32=115200 chardev:chardev index:uint32=4294967295 iobase:uint32=4294967295 "
        "irq:uint32=4294967295 wakeup:bool=off",
        category="Input",
    ),
    DeviceType(
        "pci-serial", "pci-device", "baudbase:uint32=115200 chardev:chardev wakeup:bool=off", category="Input"
    ),
    DeviceType(
        "isa-parallel",
        "isa-device",
        "chardev:chardev index:uint32=4294967295 iobase:uint32=4294967295 irq:uint32=7",
        category="Input",
    ),
    DeviceType("e1000-base", "pci-device", is_abstract=True),
    DeviceType(
        "e1000",
        "e1000-base",
        f"{NIC} init-vet:bool=on migrate_tso_props:bool=on",
        category="Network",
        alias="e1000-82540em",
        description="Intel Gigabit Ethernet",
    ),
    DeviceType(
        "e1000e",
        "pci-device",
        f"{NIC} disable_vnet_hdr:uint8=0 init-vet:bool=on migrate-timadj:bool=on subsys:uint16=0 "
        "subsys_ven:uint16=32902",
        category="Network",
        description="Intel 82574L GbE Controller",
    ),
    DeviceType("rtl8139", "pci-device", NIC, category="Network"),
    DeviceType("pci-vga", "pci-device", is_abstract=True),
    DeviceType(
        "VGA",
        "pci-vga",
        f"{EDID} big-endian-framebuffer:bool mmio:bool=on qemu-extended-regs:bool=on vgamem_mb:uint32=16",
        category="Display",
        hotpluggable=False,
    ),
    DeviceType(
        "cirrus-vga",
        "pci-device",
        "blitter:bool=on vgamem_mb:uint32=4",
        category="Display",
        description="Cirrus CLGD 54xx VGA",
        hotpluggable=False,
    ),
    DeviceType(
        "virtio-vga-base",
        "virtio-pci",
        "big-endian-framebuffer:bool ioeventfd:bool=off vectors:uint32=3",
        is_abstract=True,
        hotpluggable=False,
    ),
    DeviceType("virtio-vga-base-type", "virtio-vga-base", MODERN, is_abstract=True),
    DeviceType("virtio-vga", "virtio-vga-base-type", backend="virtio-gpu-device", category="Display"),
    DeviceType(
        "virtio-gpu-pci-base",
        "virtio-pci",
        "ioeventfd:bool=off vectors:uint32=3",
        is_abstract=True,
        hotpluggable=False,
    ),
    DeviceType("virtio-gpu-pci-base-type", "virtio-gpu-pci-base", MODERN, is_abstract=True),
    DeviceType(
        "virtio-gpu-pci",
        "virtio-gpu-pci-base-type",
        backend="virtio-gpu-device",
        category="Display",
        alias="virtio-gpu",
    ),
    DeviceType("virtio-gpu-base", "virtio-device", is_abstract=True),
    DeviceType(
        "virtio-gpu-device",
        "virtio-gpu-base",
        "blob:bool=off edid:bool=on hostmem:size=0 max_hostmem:size=268435456 max_outputs:uint32=1 "
        "outputs:VirtIOGPUOutputList x-scanout-vmstate-version:uint8=2 xres:uint32=1280 yres:uint32=800",
        category="Display",
    ),
    DeviceType(
        "bochs-display",
        "pci-device",
        f"{EDID} big-endian-framebuffer:bool vgamem:size=16777216",
        category="Display",
    ),
    DeviceType(
        "secondary-vga",
        "pci-vga",
        f"{EDID} big-endian-framebuffer:bool qemu-extended-regs:bool=on vgamem_mb:uint32=16",
        category="Display",
    ),
    DeviceType("vmware-svga", "pci-device", "vgamem_mb:uint32=16", category="Display", hotpluggable=False),
    DeviceType("pvpanic", "isa-device", "events:uint8=7 ioport:uint16=1285", category="Misc"),
    DeviceType("pvpanic-pci", "pci-device", "events:uint8=7", category="Misc"),
    DeviceType("i6300esb", "pci-device", category="Watchdog", description="Intel 6300ESB"),
    DeviceType("ib700", "isa-device", category="Watchdog", description="iBASE 700"),
    DeviceType("virtio-input-pci", "virtio-pci", "vectors:uint32=2", is_abstract=True),
    DeviceType("virtio-input-hid-pci", "virtio-input-pci", is_abstract=True),
    DeviceType("virtio-input-device", "virtio-device", "serial:str", is_abstract=True),
    DeviceType(
        "virtio-input-hid-device", "virtio-input-device", "display:str head:uint32=0", is_abstract=True
    ),
    *chain.from_iterable(map(_virtio_input, ("keyboard", "mouse", "tablet"))),
    DeviceType(
        "x86-iommu",
        "dynamic-sysbus-device",
        "device-iotlb:bool=off dma-translation:bool=on intremap:auto=auto",
        is_abstract=True,
    ),
    DeviceType(
        "intel-iommu",
        "x86-iommu",
        "aw-bits:uint8=48 caching-mode:bool=off eim:auto=auto fs1gp:bool=on fsts:bool=off "
        "pasid-bits:uint8=0 scalable-mode:bool=off snoop-control:bool=off stale-tm:bool=off svm:bool=off "
        "version:uint32=0",
        category="Misc",
        description="Intel IOMMU (VT-d) DMA Remapping device",
        hotpluggable=False,
    ),
    DeviceType("vmcoreinfo", "device", category="Misc", hotpluggable=False),
    DeviceType(
        "intel-hda-generic",
        "pci-device",
        "debug:uint32=0 msi:auto=auto old_msi_addr:bool=off",
        is_abstract=True,
        offers=(BusOffer("HDA"),),
    ),
    DeviceType(
        "intel-hda", "intel-hda-generic", category="Sound", description="Intel HD Audio Controller (ich6)"
    ),
    DeviceType(
        "ich9-intel-hda",
        "intel-hda-generic",
        category="Sound",
        description="Intel HD Audio Controller (ich9)",
    ),
    DeviceType("hda-codec", "device", "cad:uint32=4294967295", is_abstract=True, bus="HDA"),
    DeviceType("hda-audio", "hda-codec", "audiodev:audiodev debug:uint32=0 mixer:bool=on", is_abstract=True),
    DeviceType(
        "hda-duplex", "hda-audio", category="Sound", description="HDA codec with line out and line in"
    ),
    DeviceType(
        "hda-micro", "hda-audio", category="Sound", description="HDA codec with speaker and microphone"
    ),
    DeviceType("hda-output", "hda-audio", category="Sound", description="HDA codec with line out"),
    DeviceType(
        "AC97",
        "pci-device",
        "audiodev:audiodev",
        category="Sound",
        alias="ac97",
        description="Intel 82801AA AC97 Audio",
    ),
    DeviceType(
        "ES1370",
        "pci-device",
        "audiodev:audiodev",
        category="Sound",
        alias="es1370",
        description="ENSONIQ AudioPCI ES1370",
    ),
    DeviceType(
        "sb16",
        "isa-device",
        "audiodev:audiodev dma16:uint32=5 dma:uint32=1 iobase:uint32=544 irq:uint32=5 version:uint32=1029",
        category="Sound",
        description="Creative Sound Blaster 16",
    ),
)
