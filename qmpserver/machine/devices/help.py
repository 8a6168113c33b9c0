"""Tell users which devices there are, and what each can be told, as ``-device help`` does."""

from collections.abc import Iterator
from typing import Any

from qmpserver.errors import QMPError
from qmpserver.machine.devices.device_type import DeviceType
from qmpserver.machine.devices.making import settable_properties
from qmpserver.machine.devices.types.table import DEVICE_TYPES
from qmpserver.qom.types import Property

_CATEGORIES = (
    "Controller/Bridge/Hub",
    "USB",
    "Storage",
    "Network",
    "Input",
    "Display",
    "Sound",
    "Misc",
    "CPU",
    "Watchdog",
)
_WIDTH = 24


def list_types() -> str:
    """Return the types of devices that users can make, by category."""
    return "\n\n".join("\n".join(_category_lines(category)) for category in _CATEGORIES)


def _category_lines(category: str) -> Iterator[str]:
    entries = [entry for entry in DEVICE_TYPES if entry.category == category and not entry.is_abstract]
    yield f"{category} devices:"
    yield from map(_type_line, sorted(entries, key=lambda entry: entry.name.lower()))


def _type_line(entry: DeviceType) -> str:
    words = [f'name "{entry.name}"']
    bus = DEVICE_TYPES.bus_of(entry)
    if bus is not None:
        words.append(f"bus {bus}")
    if entry.alias is not None:
        words.append(f'alias "{entry.alias}"')
    if entry.description is not None:
        words.append(f'desc "{entry.description}"')
    return ", ".join(words)


def list_properties(driver: str) -> str:
    """Return the properties of a type of device.

    Raises:
        QMPError: There is no such type, or there are no devices of it.
    """
    entry = DEVICE_TYPES.find(driver)
    if entry is None:
        raise QMPError(f"Device '{driver}' not found")
    if entry.is_abstract:
        raise QMPError("Parameter 'typename' expects a non-abstract device type")
    return "\n".join([f"{entry.name} options:", *_property_lines(entry)])


def _property_lines(entry: DeviceType) -> Iterator[str]:
    own = {f"{found.name}=<{found.type_name}>": found for found in settable_properties(entry)}
    for head, found in sorted(own.items()):
        if not found.type_name.startswith("child<"):
            yield f"  {_with_words(head, found)}"


def _with_words(head: str, entry: Property) -> str:
    if entry.description is None and entry.default is None:
        return head
    default = "" if entry.default is None else f" (default: {_written(entry.default)})"
    return f"{head:<{_WIDTH - 2}} - {entry.description or ''}{default}"


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
