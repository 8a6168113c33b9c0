"""Add, remove and describe devices."""

from typing import Any

from qmpserver.commands.qom import property_info
from qmpserver.errors import DeviceNotFound, QMPError
from qmpserver.machine.devices.making import settable_properties
from qmpserver.machine.devices.types.table import DEVICE_TYPES
from qmpserver.machine.machine import Machine


def device_list_properties(machine: Machine, *, typename: str) -> list[dict[str, Any]]:
    """List the properties that can be set on devices of a type."""
    if typename not in machine.object_types:
        raise DeviceNotFound(f"Device '{typename}' not found")
    entry = DEVICE_TYPES.find(typename)
    if entry is None or entry.is_abstract:
        raise QMPError("Parameter 'typename' expects a non-abstract device type")
    return [property_info(found) for found in settable_properties(entry)]


async def device_add(machine: Machine, *, options: dict[str, Any]) -> None:
    """Add a device."""
    _check_stays(machine, "device_add")
    await machine.devices.add(options)


async def device_del(machine: Machine, *, id: str) -> None:  # noqa: A002 - the wire's name
    """Tell a device to go."""
    _check_stays(machine, "device_del")
    await machine.devices.remove(id)


def _check_stays(machine: Machine, command: str) -> None:
    """Refuse a change of the devices of a machine that is being handed over."""
    if machine.migration.is_leaving:
        raise QMPError(f"{command} not allowed while migrating")
