"""What boards carry by themselves."""

from qmpserver.machine.devices.device_type import BusOffer, DeviceType

BOARD_TYPES = (
    DeviceType("isabus-bridge", "sys-bus-device", offers=(BusOffer("ISA"),)),
    DeviceType(
        "virtio-mmio",
        "sys-bus-device",
        "force-legacy:bool=on ioeventfd:bool=on x-override-queue-size:uint16=0",
        offers=(BusOffer("virtio-mmio-bus"),),
    ),
    DeviceType(
        "acpi-ged",
        "sys-bus-device",
        "acpi-pci-hotplug-with-bridge-support:bool=off bus:link<PCI> ged-event:uint32=0 x-has-hest-addr:bool=on",
    ),
    DeviceType("isa-device", "device", is_abstract=True, bus="ISA"),
    DeviceType("sys-bus-device", "device", is_abstract=True, bus="System", hotpluggable=False),
    DeviceType("dynamic-sysbus-device", "sys-bus-device", is_abstract=True),
    DeviceType(
        "pci-host-bridge",
        "sys-bus-device",
        "bypass-iommu:bool=off x-config-reg-migration-enabled:bool=on",
        is_abstract=True,
    ),
    DeviceType(
        "i440FX-pcihost",
        "pci-host-bridge",
        "above-4g-mem-size:size=0 below-4g-mem-size:size=0 pci-hole-end:uint32 pci-hole-start:uint32 "
        "pci-hole64-end:uint64 pci-hole64-size:size=2147483648 pci-hole64-start:uint64 pci-type:str "
        "x-pci-hole64-fix:bool=on",
        offers=(BusOffer("PCI"),),
    ),
    DeviceType("i440FX", "pci-device", hotpluggable=False),
    DeviceType(
        "pci-piix",
        "pci-device",
        "has-acpi:bool=on has-pic:bool=on has-pit:bool=on has-usb:bool=on smb_io_base:uint32=0 "
        "smm-enabled:bool=off",
        is_abstract=True,
        hotpluggable=False,
    ),
    DeviceType("PIIX3", "pci-piix", offers=(BusOffer("ISA"),)),
    DeviceType(
        "PIIX4_PM",
        "pci-device",
        "acpi-pci-hotplug-with-bridge-support:bool=on acpi-root-pci-hotplug:bool=on bus:link<PCI> "
        "disable_s3:uint8=0 disable_s4:uint8=0 memory-hotplug-support:bool=on s4_val:uint8=2 "
        "smb_io_base:uint32=0 smm-compat:bool=off smm-enabled:bool=off x-not-migrate-acpi-index:bool=off",
        offers=(BusOffer("i2c-bus", name="i2c"),),
        hotpluggable=False,
    ),
    DeviceType("pcie-host-bridge", "pci-host-bridge", is_abstract=True),
    DeviceType(
        "q35-pcihost",
        "pcie-host-bridge",
        "MCFG:uint64=2952790016 above-4g-mem-size:size=0 below-4g-mem-size:size=0 mcfg_size:uint64 "
        "pci-hole-end:uint32 pci-hole-start:uint32 pci-hole64-end:uint64 pci-hole64-size:size=34359738368 "
        "pci-hole64-start:uint64 smm-ranges:bool=on x-pci-hole64-fix:bool=on",
        offers=(BusOffer("PCIE", name="pcie.0"),),
    ),
    DeviceType(
        "mch", "pci-device", "extended-tseg-mbytes:uint16=64 smbase-smram:bool=on", hotpluggable=False
    ),
    DeviceType(
        "ICH9-LPC",
        "pci-device",
        "acpi-pci-hotplug-with-bridge-support:bool acpi_disable_cmd:uint8 acpi_enable_cmd:uint8 "
        "bus:link<PCI> disable_s3:uint8 disable_s4:uint8 enable_tco:bool gpe0_blk:uint32 "
        "gpe0_blk_len:uint32 noreboot:bool=off pm_io_base:uint32 s4_val:uint8 sci_int:uint8 "
        "smm-compat:bool=off smm-enabled:bool=off x-keep-pci-slot-hpc:bool x-smi-broadcast:bool=on "
        "x-smi-cpu-hotplug:bool=on x-smi-cpu-hotunplug:bool=on x-smi-negotiated-features:uint64 "
        "x-smi-periodic-timer:bool=on x-smi-swsmi-timer:bool=on",
        offers=(BusOffer("ISA"),),
        hotpluggable=False,
    ),
    DeviceType("ICH9-SMB", "pci-device", offers=(BusOffer("i2c-bus", name="i2c"),), hotpluggable=False),
    DeviceType("hpet", "sys-bus-device", "hpet-intcap:uint32=0 msi:bool=off timers:uint8=3"),
    DeviceType("ioapic-common", "sys-bus-device", is_abstract=True),
    DeviceType("ioapic", "ioapic-common", "version:uint8=32"),
    DeviceType("fw_cfg", "sys-bus-device", "acpi-mr-restore:bool=on", is_abstract=True),
    DeviceType("fw_cfg_io", "fw_cfg", "dma_enabled:bool=on x-file-slots:uint16=32"),
    DeviceType(
        "cfi.pflash01",
        "sys-bus-device",
        "big-endian:bool=off device-width:uint8=0 drive:drive id0:uint16=0 id1:uint16=0 id2:uint16=0 id3:uint16=0 "
        "max-device-width:uint8=0 name:str num-blocks:uint32=0 secure:bool=off sector-length:uint64=0 width:uint8=0",
        category="Storage",
    ),
    DeviceType("ps2-device", "sys-bus-device", is_abstract=True),
    DeviceType("ps2-mouse", "ps2-device"),
    DeviceType("ps2-kbd", "ps2-device"),
    DeviceType("kvmvapic", "sys-bus-device"),
    DeviceType("port92", "isa-device"),
    DeviceType("vmmouse", "isa-device", "i8042:link<i8042>", category="Input"),
    DeviceType(
        "vmport",
        "isa-device",
        "vmware-vmx-type:uint8=2 vmware-vmx-version:uint32=6 x-cmds-v2:bool=on x-read-set-eax:bool=on "
        "x-report-vmx-type:bool=on x-signal-unsupported-cmd:bool=on",
    ),
    DeviceType(
        "i8042",
        "isa-device",
        "extended-state:bool=on kbd-irq:uint8=1 kbd-throttle:bool=off mouse-irq:uint8=12",
        category="Input",
    ),
    DeviceType("isa-pcspk", "isa-device", "audiodev:audiodev iobase:uint32=97 pit:link<pit-common>"),
    DeviceType("pit-common", "isa-device", "iobase:uint32=4294967295", is_abstract=True),
    DeviceType("isa-pit", "pit-common"),
    DeviceType(
        "pic-common",
        "isa-device",
        "elcr_addr:uint32=4294967295 elcr_mask:uint8=255 iobase:uint32=4294967295 master:bool=off",
        is_abstract=True,
    ),
    DeviceType("isa-i8259", "pic-common"),
    DeviceType(
        "mc146818rtc",
        "isa-device",
        "base_year:int32=1980 iobase:uint16=112 irq:uint8=8 lost_tick_policy:LostTickPolicy=discard",
        category="Misc",
    ),
    DeviceType(
        "i8257", "isa-device", "base:int32=0 dshift:int32=0 page-base:int32=128 pageh-base:int32=1152"
    ),
    DeviceType("i2c-slave", "device", "address:uint8=0", is_abstract=True, bus="i2c-bus", hotpluggable=False),
    DeviceType("smbus-device", "i2c-slave", is_abstract=True),
    DeviceType("smbus-eeprom", "smbus-device"),
)
