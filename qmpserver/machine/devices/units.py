"""Number the devices of buses on which a place is just a number: IDE, floppy, NVMe and virtio-serial."""

from qmpserver.errors import QMPError
from qmpserver.machine.devices.device import Bus, Device
from qmpserver.machine.devices.properties import UNSET

_FLOPPIES = 2
_NAMESPACES = 256


def place_on_ide(bus: Bus, device: Device) -> None:
    """Take the unit that a device asks for; otherwise the second one once there is a first.

    Raises:
        QMPError: It is taken, or there is none such.
    """
    assert bus.parent is not None
    most = 1 if bus.parent.is_a("ich9-ahci") else 2
    used = _numbers(bus, "unit")
    _take_unit(device, "IDE", used, most, otherwise=1 if 0 in used else 0)


def place_on_floppy_bus(bus: Bus, device: Device) -> None:
    """Take the unit that a drive asks for, or else the first free one.

    Raises:
        QMPError: It is taken, or there is none such.
    """
    used = _numbers(bus, "unit")
    free = next(number for number in range(_FLOPPIES + 1) if number not in used)
    _take_unit(device, "floppy", used, _FLOPPIES, otherwise=free)


def _numbers(bus: Bus, name: str) -> set[int]:
    """Return the numbers that devices of a bus have, under the name of the property."""
    return {other.values[name] for other in bus.devices}


def _take_unit(device: Device, kind: str, used: set[int], most: int, *, otherwise: int) -> None:
    unit = device.values["unit"]
    if unit == UNSET:
        unit = otherwise
    if unit >= most:
        raise QMPError(f"Can't create {kind} unit {unit}, bus supports only {most} units")
    if unit in used:
        raise QMPError(f"{kind[0].upper()}{kind[1:]} unit {unit} is in use")
    device.values["unit"] = unit


def place_on_nvme_bus(bus: Bus, device: Device) -> None:
    """Take the number that a namespace asks for, or else the first free one.

    Raises:
        QMPError: It is taken, or there is none such.
    """
    used = _numbers(bus, "nsid")
    nsid = device.values["nsid"]
    if nsid > _NAMESPACES:
        raise QMPError(f"invalid namespace id (must be between 0 and {_NAMESPACES})")
    if nsid in used:
        raise QMPError(f"namespace id '{nsid}' already allocated")
    if not nsid:
        nsid = next((number for number in range(1, _NAMESPACES + 1) if number not in used), None)
        if nsid is None:
            raise QMPError("no free namespace id")
    device.values["nsid"] = nsid


def place_on_virtio_serial(bus: Bus, device: Device) -> None:
    """Take the number that a port asks for, or else the first free one; only a console may be the first of all.

    Raises:
        QMPError: It is taken, there is none such, or another has its name.
    """
    assert bus.parent is not None
    most, number, is_console = bus.parent.values["max_ports"], device.values["nr"], device.is_a("virtconsole")
    if number == 0 and not is_console:
        raise QMPError(
            "Port number 0 on virtio-serial devices reserved for virtconsole devices for backward compatibility."
        )
    used = _numbers(bus, "nr")
    if number in used:
        raise QMPError(f"virtio-serial-bus: A port already exists at id {number}")
    name = device.value("name")
    if name and any(other.value("name") == name for other in bus.devices):
        raise QMPError(f"virtio-serial-bus: A port already exists by name {name}")
    if number == UNSET:
        first = 0 if is_console else 1
        number = next(free for free in range(first, most + 1) if free not in used)
    if number >= most:
        raise QMPError(f"virtio-serial-bus: Out-of-range port id specified, max. allowed: {most - 1}")
    device.values["nr"] = number
