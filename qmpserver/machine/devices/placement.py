"""Give each device a place on its bus."""

from collections.abc import Callable, Mapping

from qmpserver.machine.devices.device import Bus, Device
from qmpserver.machine.devices.pci_slots import place_on_pci
from qmpserver.machine.devices.scsi_addresses import place_on_scsi
from qmpserver.machine.devices.units import (
    place_on_floppy_bus,
    place_on_ide,
    place_on_nvme_bus,
    place_on_virtio_serial,
)
from qmpserver.machine.devices.usb_ports import claim_port

_PLACES: Mapping[str, Callable[[Bus, Device], object]] = {
    "PCI": place_on_pci,
    "PCIE": place_on_pci,
    "SCSI": place_on_scsi,
    "IDE": place_on_ide,
    "floppy-bus": place_on_floppy_bus,
    "nvme-bus": place_on_nvme_bus,
    "virtio-serial-bus": place_on_virtio_serial,
    "usb-bus": claim_port,
}


def place(bus: Bus, device: Device) -> None:
    """Give a device a place on a bus, and note it in its properties.

    Raises:
        QMPError: The place that it asks for cannot be had, or there is none left.
    """
    find_place = _PLACES.get(bus.type_name)
    if find_place is not None:
        find_place(bus, device)
