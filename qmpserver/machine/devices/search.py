"""Find buses: by name, or for a type of device."""

from collections.abc import Iterator

from qmpserver.errors import QMPError
from qmpserver.machine.devices.device import Bus


def all_buses(root: Bus) -> Iterator[Bus]:
    """Go through a bus and those below it, as QEMU looks at them: the newest device of a bus first."""
    yield root
    for device in reversed(root.devices):
        for bus in reversed(device.buses):
            yield from all_buses(bus)


def bus_named(root: Bus, name: str, bus_type: str | None, driver: str) -> Bus:
    """Return the bus of a name for a device of a type.

    Raises:
        QMPError: There is none, it is of another kind, or it is full.
    """
    last = name.rpartition("/")[2]
    found = next((bus for bus in all_buses(root) if bus.name == last), None)
    if found is None:
        raise QMPError(f"Bus '{name}' not found", code="not-found", bus=name)
    if found.is_full:
        raise QMPError(f"Bus '{name}' is full", bus=name)
    if not found.fits(bus_type):
        raise QMPError(f"Device '{driver}' can't go on {found.type_name} bus")
    return found


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
