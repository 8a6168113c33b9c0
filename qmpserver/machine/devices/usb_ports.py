"""Give USB devices their ports, those of hubs among them: ``1.2`` is the second port of the hub in the first."""

from collections.abc import Iterator

from qmpserver.errors import QMPError
from qmpserver.machine.devices.device import Bus, Device

_PORTS = {"pci-uhci-usb": 2, "pci-ehci-usb": 6, "pci-ohci": 3}
"""How many ports the controllers have that do not say so themselves."""


def claim_port(bus: Bus, device: Device) -> str | None:
    """Find the port that a device asks for, or else the first free one.

    Returns:
        The port; None when the last one left has to be given to a hub first.

    Raises:
        QMPError: It is taken, or there is none.
    """
    free = _free_ports(bus)
    wanted = device.value("port")
    if wanted:
        if wanted not in free:
            raise QMPError(f"usb port {wanted} (bus {bus.name}) not found (in use?)")
        return str(wanted)
    if not free:
        raise QMPError(f"tried to attach usb device {device.type.name} to a bus with no free ports")
    if len(free) == 1 and device.type.name != "usb-hub":
        return None
    return free[0]


def _free_ports(bus: Bus) -> list[str]:
    used = {device.usb_port for device in bus.devices}
    return [port for port in _ports(bus) if port not in used]


def _ports(bus: Bus) -> Iterator[str]:
    controller = bus.parent
    assert controller is not None
    said = [controller.value("p2"), controller.value("p3")]
    count = max(filter(None, said), default=0) or next(
        (count for type_name, count in _PORTS.items() if controller.is_a(type_name)), 0
    )
    yield from map(str, range(1, count + 1))
    for hub in bus.devices:
        if hub.type.name == "usb-hub":
            yield from (f"{hub.usb_port}.{number}" for number in range(1, hub.values["ports"] + 1))
