"""Find buses: by name or path, or for a type of device.

A path goes from bus to device to bus: ``/i440FX-pcihost/pci.0/s/virtio-bus``.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from qmpserver.errors import DeviceNotFound, QMPError
from qmpserver.machine.devices.device import Bus, Device

_CALLED: Sequence[Callable[[Device], str | None]] = (
    lambda device: device.device_id,
    lambda device: device.type.name,
    lambda device: device.type.alias,
)
"""What a device is called in a path; an id goes before a type, and that before its alias."""


def all_buses(root: Bus) -> Iterator[Bus]:
    """Go through a bus and those below it, as QEMU looks at them: the newest device of a bus first."""
    yield root
    for device in reversed(root.devices):
        for bus in reversed(device.buses):
            yield from all_buses(bus)


def bus_named(root: Bus, name: str, bus_type: str | None, driver: str) -> Bus:
    """Return the bus of a name or path for a device of a type.

    Raises:
        DeviceNotFound: There is no device on the way.
        QMPError: There is none, it is of another kind, or it is full.
    """
    found = _bus_at(root, name)
    if found.is_full:
        raise QMPError(f"Bus '{name}' is full", bus=name)
    if not found.fits(bus_type):
        raise QMPError(f"Device '{driver}' can't go on {found.type_name} bus")
    return found


def _bus_at(root: Bus, path: str) -> Bus:
    first, *rest = path.split("/")
    bus = root if path.startswith("/") else _named(all_buses(root), first)
    steps = iter([step for step in rest if step])
    for step in steps:
        device = _device_on(bus, step)
        bus_name = next(steps, None)
        bus = _only_bus(device, step) if bus_name is None else _named(device.buses, bus_name)
    return bus


def _named(buses: Iterable[Bus], name: str) -> Bus:
    found = next((bus for bus in buses if bus.name == name), None)
    if found is None:
        raise QMPError(f"Bus '{name}' not found", code="not-found", bus=name)
    return found


def _device_on(bus: Bus, name: str) -> Device:
    named = (device for called in _CALLED for device in reversed(bus.devices) if called(device) == name)
    found = next(named, None)
    if found is None:
        raise DeviceNotFound(f"Device '{name}' not found", device=name)
    return found


def _only_bus(device: Device, name: str) -> Bus:
    if not device.buses:
        raise QMPError(f"Device '{name}' has no child bus")
    if len(device.buses) > 1:
        raise QMPError(f"Device '{name}' has multiple child buses")
    return device.buses[0]


def bus_for(root: Bus, bus_type: str, driver: str) -> Bus:
    """Return the first bus that a device of a type fits into and that has room.

    Raises:
        QMPError: There is none.
    """
    fitting = [bus for bus in all_buses(root) if bus.fits(bus_type)]
    if not fitting:
        raise QMPError(f"No '{bus_type}' bus found for device '{driver}'")
    with_room = next((bus for bus in fitting if not bus.is_full), None)
    if with_room is None:
        raise QMPError(f"A '{bus_type}' bus was found but is full")
    return with_room
