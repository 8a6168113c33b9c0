"""Decide whether a device may be at all, and whether it may come or go while the machine is there."""

import re

from qmpserver.errors import QMPError
from qmpserver.machine.devices.device import Bus
from qmpserver.machine.devices.device_type import DeviceType
from qmpserver.machine.devices.types.table import DEVICE_TYPES

_WELL_FORMED = re.compile(r"[A-Za-z][A-Za-z0-9\-._]*\Z")
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
    if not _WELL_FORMED.match(device_id):
        raise QMPError(f"Invalid qdev ID '{device_id}'")


def check_hotplug(entry: DeviceType, bus: Bus | None) -> None:
    """See that a device can come to or go from its bus while the machine is there.

    Raises:
        QMPError: It cannot.
    """
    if not DEVICE_TYPES.is_hotpluggable(entry):
        raise QMPError(f"Device '{entry.name}' does not support hotplugging")
    if bus is not None and not bus.is_hotpluggable:
        raise QMPError(f"Bus '{bus.name}' does not support hotplugging")
    if bus is None and entry.name in _NOT_ON_A_BUS:
        raise QMPError(f"Device '{entry.name}' can not be hotplugged on this machine")
