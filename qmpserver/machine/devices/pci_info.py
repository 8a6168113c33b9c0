"""Shape the PCI devices of a machine as ``query-pci`` shows them.

No firmware has run: bridges have no numbers for the buses behind them, so nothing is shown there, and no region of
addresses has a place.  QEMU: also shows how large the regions are; nothing lies behind them here, so there are none.
"""

from collections.abc import Iterable
from typing import Any

from qmpserver.machine.devices.device import Bus, Device
from qmpserver.machine.devices.properties import FUNCTIONS
from qmpserver.machine.devices.types.pci_identities import CLASS_NAMES, PciIdentity, identity_of
from qmpserver.machine.devices.types.table import DEVICE_TYPES
from qmpserver.units import MiB

_PORTS = 4096
_CLOSED_PORTS, _CLOSED_MEMORY = 0xF000, 0xFFF00000
"""Where ranges begin that begin after their end, and so let nothing through."""

_MODERN = "-non-transitional"


def pci_info(buses: Iterable[Bus]) -> list[dict[str, Any]]:
    """Shape the root buses among some as a list of ``PciInfo``, the newest first."""
    roots = [bus for bus in buses if bus.fits("PCI") and _is_root(bus)]
    return [_root_info(bus) for bus in reversed(roots)]


def _is_root(bus: Bus) -> bool:
    return bus.parent is not None and (bus.parent.is_a("pci-host-bridge") or bus.parent.is_a("pxb"))


def _root_info(bus: Bus) -> dict[str, Any]:
    assert bus.parent is not None
    number = bus.parent.value("bus_nr") or 0
    devices = sorted(bus.devices, key=lambda device: int(device.values["addr"]))
    return {"bus": number, "devices": [_device_info(number, device) for device in devices]}


def _device_info(bus_number: int, device: Device) -> dict[str, Any]:
    identity = _identity(device)
    slot, function = divmod(device.values["addr"], FUNCTIONS)
    info: dict[str, Any] = {
        "bus": bus_number,
        "slot": slot,
        "function": function,
        "class_info": _class_info(identity),
        "id": _id_info(identity),
        "irq_pin": identity.pin,
        "qdev_id": device.device_id or "",
        "regions": [],
    }
    if identity.pin:
        info["irq"] = 0
    if device.is_a("base-pci-bridge"):
        info["pci_bridge"] = {"bus": _unset_bridge(is_closed=device.is_a("pcie-root-port-base"))}
    return info


def _unset_bridge(*, is_closed: bool) -> dict[str, Any]:
    """Shape a bridge that nobody has set up as ``PciBusInfo``."""
    ports, memory = (_CLOSED_PORTS, _CLOSED_MEMORY) if is_closed else (0, 0)
    return {
        "number": 0,
        "secondary": 0,
        "subordinate": 0,
        "io_range": {"base": ports, "limit": _PORTS - 1},
        "memory_range": {"base": memory, "limit": MiB - 1},
        "prefetchable_range": {"base": memory, "limit": MiB - 1},
    }


def _identity(device: Device) -> PciIdentity:
    """Return what a device tells of itself; one that does not speak the old virtio is another device."""
    name = device.type.name
    if device.is_a("virtio-pci") and not name.endswith(_MODERN):
        name = name.removesuffix("-transitional")
        if device.value("disable-legacy") == "on" and DEVICE_TYPES.find(name + _MODERN) is not None:
            name += _MODERN
    return identity_of(name)


def _class_info(identity: PciIdentity) -> dict[str, Any]:
    name = CLASS_NAMES.get(identity.class_code)
    return {"class": identity.class_code} | ({} if name is None else {"desc": name})


def _id_info(identity: PciIdentity) -> dict[str, int]:
    info = {"vendor": identity.vendor, "device": identity.device}
    if identity.subsystem is not None:
        info["subsystem-vendor"], info["subsystem"] = identity.subsystem
    return info
