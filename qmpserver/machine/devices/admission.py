"""Decide whether a device may be at all, and whether it may come or go while the machine is there."""

from qmpserver.block.graph import is_well_formed
from qmpserver.errors import QMPError
from qmpserver.machine.devices.device import Bus
from qmpserver.machine.devices.device_type import DeviceType
from qmpserver.machine.devices.types.table import DEVICE_TYPES

_NOT_ON_A_BUS = ("nvme-subsys",)
"""Devices without a bus, which nobody could tell the machine of."""


def type_named(driver: str) -> DeviceType:
    """Return the type that a user names.

    Raises:
        QMPError: There is none, or users cannot make devices of it.
    """
    entry = DEVICE_TYPES.find(driver)
    if entry is None:
        raise QMPError(f"'{driver}' is not a valid device model name", code="not-found", driver=driver)
    if entry.is_abstract:
        raise QMPError("Parameter 'driver' expects a non-abstract device type")
    if entry.category is None:
        raise QMPError("Parameter 'driver' expects a pluggable device type")
    if entry.parent == "x86_64-cpu":
        raise QMPError("Processors cannot be added, since nothing runs on them here")
    return entry


def check_id(device_id: str) -> None:
    """Refuse an id that is malformed.

    Raises:
        QMPError: It is.
    """
    if not is_well_formed(device_id):
        raise QMPError(f"Invalid qdev ID '{device_id}'")


def check_hotplug(entry: DeviceType, bus: Bus | None) -> None:
    """See that a device can come to its bus while the machine is there.

    Raises:
        QMPError: It cannot.
    """
    _check_type(entry)
    _check_bus(entry, bus)


def check_hotunplug(entry: DeviceType, bus: Bus | None) -> None:
    """See that a device can go from its bus while the machine is there.

    Raises:
        QMPError: It cannot.
    """
    _check_bus(entry, bus)
    _check_type(entry)
    if bus is None:
        raise QMPError(f"Device '{entry.name}' can not be hotunplugged on this machine")


def _check_type(entry: DeviceType) -> None:
    if not DEVICE_TYPES.is_hotpluggable(entry):
        raise QMPError(f"Device '{entry.name}' does not support hotplugging")


def _check_bus(entry: DeviceType, bus: Bus | None) -> None:
    if bus is not None and not bus.is_hotpluggable:
        raise QMPError(f"Bus '{bus.name}' does not support hotplugging")
    if bus is None and entry.name in _NOT_ON_A_BUS:
        raise QMPError(f"Device '{entry.name}' can not be hotplugged on this machine")
