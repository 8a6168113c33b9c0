"""Show devices and objects: ``info qtree``, ``info qom-tree``, ``info qdm``, ``info virtio`` and ``info usb``."""

from collections.abc import Iterator

from qmpserver.errors import QMPError
from qmpserver.machine.devices import help as device_help
from qmpserver.machine.devices.device import Bus, Device
from qmpserver.machine.devices.properties import FUNCTIONS, DeviceProperty
from qmpserver.machine.devices.types.table import DEVICE_TYPES
from qmpserver.machine.hmp.command import Arguments, HumanCommand
from qmpserver.machine.hmp.parameters import flag, optional
from qmpserver.machine.hmp.session import HumanSession
from qmpserver.numerals import human_size
from qmpserver.qom import tree

_STEP = "  "
_NOT_SHOWN = ("bootindex", "bootindexA", "bootindexB", "hotpluggable", "hotplugged", "parent_bus", "realized")
"""Properties of a device as an object, which are none of its own."""


async def _qtree(session: HumanSession, arguments: Arguments) -> str:
    root = session.machine.devices.objects.root_bus
    lines = _bus_lines(root, "", is_brief=arguments["brief"])
    return "".join(f"{line}\n" for line in lines)


def _bus_lines(bus: Bus, indent: str, *, is_brief: bool) -> Iterator[str]:
    yield f"{indent}bus: {bus.name}"
    yield f"{indent}{_STEP}type {bus.type_name}"
    for device in reversed(bus.devices):
        yield from _device_lines(device, indent + _STEP, is_brief=is_brief)


def _device_lines(device: Device, indent: str, *, is_brief: bool) -> Iterator[str]:
    yield f'{indent}dev: {device.type.name}, id "{device.device_id or ""}"'
    inner = indent + _STEP
    if not is_brief:
        yield from (f"{inner}{line}" for line in _property_lines(device))
    for bus in reversed(device.buses):
        yield from _bus_lines(bus, inner, is_brief=is_brief)


def _property_lines(device: Device) -> Iterator[str]:
    """Show the properties of a device's type, the closest first."""
    for entry in DEVICE_TYPES.ancestry(device.type):
        for prop in entry.own:
            if prop.name in device.values and prop.name not in _NOT_SHOWN:
                yield f"{prop.name} = {_value_text(prop, device)}"


def _value_text(prop: DeviceProperty, device: Device) -> str:
    value = device.get_property(prop.name)
    match value:
        case bool():
            return str(value).lower()
        case int() if prop.kind == "devfn":
            return f"{value // FUNCTIONS:02x}.{value % FUNCTIONS:x}"
        case int() if prop.type_name == "size":
            return f"{value} ({human_size(value)})"
        case int():
            return f"{value} ({value & 0xFFFFFFFFFFFFFFFF:#x})"
        case list() | None:
            return "<null>"
        case _:
            return f'"{value}"'


async def _qom_tree(session: HumanSession, arguments: Arguments) -> str:
    machine, path = session.machine, arguments.get("path")
    chardevs = {chardev.label: f"chardev-{chardev.backend}" for chardev in machine.chardevs}
    root = tree.make_tree(machine.objects.items(), chardevs, machine.further_objects())
    path = "/machine" if path is None else path
    try:
        found = tree.find(root, path)
    except tree.AmbiguousPath:
        return f"Warning: Path '{path}' is ambiguous.\n"
    except QMPError:
        return f"Path '{path}' could not be resolved.\n"
    name = path.rstrip("/").rpartition("/")[2]
    return "".join(f"{line}\n" for line in _item_lines(name, found, ""))


def _item_lines(name: str, item: tree.Item, indent: str) -> Iterator[str]:
    yield f"{indent}/{name} ({item.qom_type})"
    for child, below in sorted(item.children.items()):
        yield from _item_lines(child, below, indent + _STEP)


async def _qdm(session: HumanSession, _arguments: Arguments) -> str:
    del session
    return device_help.list_types() + "\n"


async def _virtio(session: HumanSession, _arguments: Arguments) -> str:
    found = sorted(
        (f"{device.qom_path}/virtio-backend", device.backend.type.name.removesuffix("-device"))
        for device in session.machine.devices
        if device.backend is not None
    )
    return "".join(f"{path} [{name}]\n" for path, name in found) or "No VirtIO devices\n"


COMMANDS = (
    HumanCommand("qdm", _qdm, "show the types of devices"),
    HumanCommand("qom-tree", _qom_tree, "show the tree of objects", "[path]", (optional("path"),)),
    HumanCommand(
        "qtree",
        _qtree,
        "show buses and the devices in them (-b: without properties)",
        "[-b]",
        (flag("brief", "b"),),
    ),
    HumanCommand("virtio", _virtio, "show the virtio devices"),
)
