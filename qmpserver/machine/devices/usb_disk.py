"""Make the SCSI disk that a USB disk is made of."""

from qmpserver.machine.devices.completing import complete
from qmpserver.machine.devices.device import Device
from qmpserver.machine.devices.making import new_device
from qmpserver.machine.devices.placement import place
from qmpserver.machine.devices.realising import Neighbours, realise
from qmpserver.machine.devices.types.table import DEVICE_TYPES

_NAME = "legacy[0]"


def make_disk(device: Device, around: Neighbours) -> Device:
    """Make the disk inside, which gets what was said of its drive, and the drive itself.

    Args:
        device: The USB disk, which has its bus.
        around: The other devices.

    Raises:
        QMPError: It cannot be so.
    """
    bus = device.buses[0]
    disk = new_device(DEVICE_TYPES.of("scsi-hd"), hotplugged=device.hotplugged)
    disk.values.update({name: value for name, value in device.values.items() if name in disk.values})
    device.values["drive"] = ""
    disk.bus, disk.qom_path = bus, f"{bus.path}/{_NAME}"
    place(bus, disk)
    realise(disk, around)
    complete(disk, around)
    bus.devices.append(disk)
    bus.children[_NAME] = disk
    return disk
