"""Give PCI devices their slots."""

from qmpserver.errors import QMPError
from qmpserver.machine.devices.device import Bus, Device
from qmpserver.machine.devices.properties import ANY_DEVFN, DEVFNS, FUNCTIONS, parse_devfn


def place_on_pci(bus: Bus, device: Device) -> None:
    """Take the place that a device asks for, or else the first free slot.

    Raises:
        QMPError: It is taken, or there is none.
    """
    used = {other.values["addr"]: other for other in bus.devices}
    wanted = _wanted(device)
    if wanted == ANY_DEVFN:
        wanted = next((devfn for devfn in range(0, DEVFNS, FUNCTIONS) if devfn not in used), ANY_DEVFN)
        if wanted == ANY_DEVFN:
            raise QMPError(f"PCI: no slot/function available for {device.type.name}, all in use or reserved")
    slot, function = divmod(wanted, FUNCTIONS)
    if wanted in used:
        other = used[wanted]
        raise QMPError(
            f"PCI: slot {slot} function {function} not available for {device.type.name}, "
            f"in use by {other.type.name},id={other.device_id or '(null)'}"
        )
    first = used.get(slot * FUNCTIONS)
    if device.hotplugged and first is not None:
        raise QMPError(
            f"PCI: slot {slot} function 0 already occupied by {first.type.name}, "
            f"new func {device.type.name} cannot be exposed to guest."
        )
    if not slot and device.hotplugged and _reserves_first_slot(bus):
        raise QMPError(
            "Unsupported PCI slot 0 for standard hotplug controller. Valid slots are between 1 and 31."
        )
    _check_functions(device, slot, function, used)
    device.values["addr"] = wanted


def _wanted(device: Device) -> int:
    wanted = device.values["addr"]
    return parse_devfn(device.type.name, "addr", wanted) if isinstance(wanted, str) else int(wanted)


def _reserves_first_slot(bus: Bus) -> bool:
    """Say whether a bridge watches over its slots itself, which it does when it came late."""
    bridge = bus.parent
    return bridge is not None and bridge.hotplugged and bridge.value("shpc") is True


def _check_functions(device: Device, slot: int, function: int, used: dict[int, Device]) -> None:
    """See that a slot has several functions only if the first says so."""
    if function:
        first = used.get(slot * FUNCTIONS)
        if first is not None and not first.values["multifunction"]:
            raise QMPError(
                f"PCI: single function device can't be populated in function {slot:x}.{function:x}"
            )
    elif not device.values["multifunction"]:
        others = (devfn for devfn in sorted(used) if devfn // FUNCTIONS == slot)
        for other in others:
            raise QMPError(
                f"PCI: {slot:x}.0 indicates single function, but {slot:x}.{other % FUNCTIONS:x} is already populated."
            )
