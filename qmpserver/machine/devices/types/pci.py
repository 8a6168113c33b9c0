"""PCI bridges, ports and expanders."""

from qmpserver.machine.devices.device_type import BusOffer, DeviceType

PCI_TYPES = (
    DeviceType(
        "pci-device",
        "device",
        "acpi-index:uint32=0 addr:devfn=-1 busnr:busnr failover_pair_id:str multifunction:bool=off "
        "rombar:int32=-1 romfile:str romsize:uint32=4294967295 sriov-pf:str "
        "x-max-bounce-buffer-size:size=4096 x-pcie-ari-nextfn-1:bool=off x-pcie-err-unc-mask:bool=on "
        "x-pcie-ext-tag:bool=on x-pcie-lnksta-dllla:bool=on",
        is_abstract=True,
        bus="PCI",
    ),
    DeviceType("base-pci-bridge", "pci-device", "x-pci-express-writeable-slt-bug:bool=off", is_abstract=True),
    DeviceType(
        "pcie-port",
        "base-pci-bridge",
        "aer_log_max:uint16=8 port:uint8=0",
        is_abstract=True,
        offers=(BusOffer("PCIE", name="id"),),
    ),
    DeviceType(
        "pcie-slot",
        "pcie-port",
        "chassis:uint8=0 hotplug:bool=on slot:uint16=0 x-do-not-expose-native-hotplug-cap:bool=off",
        is_abstract=True,
    ),
    DeviceType("pcie-root-port-base", "pcie-slot", "power_controller_present:bool=on", is_abstract=True),
    DeviceType(
        "pcie-root-port",
        "pcie-root-port-base",
        "bus-reserve:uint32=4294967295 io-reserve:size=18446744073709551615 "
        "mem-reserve:size=18446744073709551615 pref32-reserve:size=18446744073709551615 "
        "pref64-reserve:size=18446744073709551615 x-speed:PCIELinkSpeed=16 x-width:PCIELinkWidth=32",
        category="Controller/Bridge/Hub",
        description="PCI Express Root Port",
    ),
    DeviceType(
        "pci-bridge",
        "base-pci-bridge",
        "bus-reserve:uint32=4294967295 chassis_nr:uint8=0 io-reserve:size=18446744073709551615 "
        "mem-reserve:size=18446744073709551615 msi:auto=auto pref32-reserve:size=18446744073709551615 "
        "pref64-reserve:size=18446744073709551615 shpc:bool=on",
        category="Controller/Bridge/Hub",
        description="Standard PCI Bridge",
        offers=(BusOffer("PCI", name="id"),),
    ),
    DeviceType(
        "pcie-pci-bridge",
        "base-pci-bridge",
        "msi:auto=auto",
        category="Controller/Bridge/Hub",
        offers=(BusOffer("PCI", name="id"),),
    ),
    DeviceType(
        "ioh3420",
        "pcie-root-port-base",
        category="Controller/Bridge/Hub",
        description="Intel IOH 3420 PCI Express root port",
    ),
    DeviceType(
        "x3130-upstream", "pcie-port", category="Controller/Bridge/Hub", description="TI X3130 upstream port"
    ),
    DeviceType(
        "xio3130-downstream",
        "pcie-slot",
        "power_controller_present:bool=on",
        category="Controller/Bridge/Hub",
        description="TI X3130 downstream port",
    ),
    DeviceType(
        "i82801b11-bridge",
        "base-pci-bridge",
        category="Controller/Bridge/Hub",
        offers=(BusOffer("PCI", name="id"),),
    ),
    DeviceType(
        "pxb",
        "pci-device",
        "bus_nr:uint8=0 bypass_iommu:bool=off numa_node:uint16=128",
        category="Controller/Bridge/Hub",
        description="PCI Expander Bridge",
        offers=(BusOffer("PCI", name="id"),),
        hotpluggable=False,
    ),
    DeviceType(
        "pxb-pcie",
        "pxb",
        category="Controller/Bridge/Hub",
        description="PCI Express Expander Bridge",
        offers=(BusOffer("PCIE", name="id"),),
    ),
)
