"""Make a device of what is said of it, not plugged in anywhere yet."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from qmpserver.errors import QMPError
from qmpserver.machine.devices.device import Device
from qmpserver.machine.devices.device_type import DeviceType
from qmpserver.machine.devices.properties import DeviceProperty
from qmpserver.machine.devices.realising import check_block_size
from qmpserver.machine.devices.references import References
from qmpserver.machine.devices.types.table import DEVICE_TYPES
from qmpserver.qom.types import Property

NO_BOOT_INDEX = -1
"""A device with this is booted from last, in no order."""

Setting = tuple[str, str, str]
"""What devices of a type get: the type, the property, and its value as written."""

_FIRST_VALUES = {"bool": False, "str": "", "string": ""}


def new_device(entry: DeviceType, device_id: str | None = None, *, hotplugged: bool = False) -> Device:
    """Make a device whose properties are as its type has them, with what does its work inside."""
    values = dict(_values_at_first(entry.name))
    device = Device(entry, device_id, values, hotplugged=hotplugged)
    backend = DEVICE_TYPES.backend_of(entry)
    if backend is not None:
        device.backend = Device(backend, None, values, hotplugged=hotplugged)
    return device


@cache
def properties_of(type_name: str) -> Mapping[str, DeviceProperty]:
    """Return the properties that users can set on devices of a type, by name."""
    entries = DEVICE_TYPES.table.properties_of(type_name)
    return {entry.name: entry for entry in entries if isinstance(entry, DeviceProperty)}


@cache
def _values_at_first(type_name: str) -> Mapping[str, Any]:
    return {name: _value_at_first(entry) for name, entry in properties_of(type_name).items()}


def _value_at_first(entry: DeviceProperty) -> Any:
    if entry.default is not None:
        return entry.default
    if entry.name.startswith("bootindex"):
        return NO_BOOT_INDEX
    if entry.is_link:
        return ""
    return _FIRST_VALUES.get(entry.type_name, [] if entry.type_name.endswith(("list", "List")) else 0)


def set_properties(
    device: Device,
    given: Mapping[str, Any],
    references: References,
    others: Iterable[Device],
    *,
    is_text: bool,
) -> None:
    """Set properties, in the order they are given.

    Args:
        device: It has not come to be yet.
        given: What is said, by name.
        references: What values may name.
        others: The devices that there are.
        is_text: Values are written as on a command line, all of them strings.

    Raises:
        QMPError: The type has no such property, or a value is of no use.
    """
    known = properties_of(device.type.name)
    for name, value in given.items():
        entry = known.get(name)
        if entry is None:
            raise QMPError(f"Property '{device.type.name}.{name}' not found", code="not-found", property=name)
        read = entry.from_text(value) if is_text else entry.from_json(value)
        if entry.kind == "blocksize":
            check_block_size(name, read)
        if name == "bootindex":
            check_boot_index(read, others)
        device.values[name] = references.resolve(device, entry, read)


def set_by_type(device: Device, settings: Iterable[Setting], references: References) -> None:
    """Set what was said of all devices of a type.

    Args:
        device: It has not come to be yet, and nothing was said of it itself.
        settings: What was said, in order.
        references: What values may name.

    Raises:
        QMPError: The type has no such property, or the value is of no use.
    """
    for driver, name, value in settings:
        if device.is_a(driver) or (device.backend is not None and device.backend.is_a(driver)):
            try:
                set_properties(device, {name: value}, references, (), is_text=True)
            except QMPError as error:
                raise error.within(f"can't apply global {driver}.{name}={value}: ") from error


def check_boot_index(index: int, others: Iterable[Device]) -> None:
    """See that no other device has a place in the order of booting.

    Raises:
        QMPError: One has.
    """
    if index >= 0 and any(other.value("bootindex") == index for other in others):
        raise QMPError(f"The bootindex {index} has already been used")


def settable_properties(entry: DeviceType) -> list[Property]:
    """Return the properties of a type as those who make devices of it see them."""
    fixed = {own.name for own in DEVICE_TYPES.of("device").own} | {"type"}
    return [found for found in DEVICE_TYPES.table.properties_of(entry.name) if found.name not in fixed]
