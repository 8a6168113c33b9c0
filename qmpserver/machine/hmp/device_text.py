"""Show devices and objects: ``info qtree``, ``info qom-tree``, ``info qdm``, ``info virtio`` and ``info usb``."""

from collections.abc import Iterator

from qmpserver.errors import QMPError
from qmpserver.machine.devices import help as device_help
from qmpserver.machine.devices.device import Bus, Device
from qmpserver.machine.devices.pci_slots import FUNCTIONS
from qmpserver.machine.devices.properties import DeviceProperty
from qmpserver.machine.hmp.command import Arguments, HumanCommand
from qmpserver.machine.hmp.parameters import flag, optional
from qmpserver.machine.hmp.session import HumanSession
from qmpserver.numerals import human_size
from qmpserver.qom import tree

_ROOT_BUS = "main-system-bus"
_STEP = "  "
_NOT_SHOWN = ("bootindex", "bootindexA", "bootindexB", "hotpluggable", "hotplugged", "parent_bus", "realized")
"""Properties of a device as an object, which are none of its own."""


async def _qtree(session: HumanSession, arguments: Arguments) -> str:
    root = session.machine.devices.objects.root_bus
    lines = _bus_lines(root, _ROOT_BUS, "", is_brief=arguments["brief"])
    return "".join(f"{line}\n" for line in lines)


def _bus_lines(bus: Bus, name: str, indent: str, *, is_brief: bool) -> Iterator[str]:
    yield f"{indent}bus: {name}"
    yield f"{indent}{_STEP}type {bus.type_name}"
    for device in reversed(bus.devices):
        yield from _device_lines(device, indent + _STEP, is_brief=is_brief)


def _device_lines(device: Device, indent: str, *, is_brief: bool) -> Iterator[str]:
    yield f'{indent}dev: {device.type.name}, id "{device.device_id or ""}"'
    inner = indent + _STEP
    if not is_brief:
        yield from (f"{inner}{line}" for line in _property_lines(device, device))
    if device.backend is None:
        yield from _below(device, inner, is_brief=is_brief)
        return
    # What does the work of a virtio device is plugged into a bus between the two.
    yield f"{inner}bus: virtio-bus"
    yield f"{inner}{_STEP}type {_virtio_bus(device)}"
    inner += _STEP
    yield f'{inner}dev: {device.backend.type.name}, id ""'
    inner += _STEP
    if not is_brief:
        yield from (f"{inner}{line}" for line in _property_lines(device.backend, device))
    yield from _below(device.backend, inner, is_brief=is_brief)


def _virtio_bus(device: Device) -> str:
    return "virtio-pci-bus" if device.is_a("virtio-pci") else "virtio-mmio-bus"


def _below(device: Device, indent: str, *, is_brief: bool) -> Iterator[str]:
    for bus in reversed(device.buses):
        if bus.name != "virtio-bus":
            yield from _bus_lines(bus, bus.name, indent, is_brief=is_brief)


def _property_lines(device: Device, holder: Device) -> Iterator[str]:
    """Show the properties of a device's type, the closest first, with the values that `holder` has."""
    for entry in device.types.table.ancestry(device.type.name):
        own = device.types.find(entry.name)
        for prop in own.own if own is not None else ():
            if prop.name in holder.values and prop.name not in _NOT_SHOWN:
                yield f"{prop.name} = {_value_text(prop, holder)}"


def _value_text(prop: DeviceProperty, holder: Device) -> str:
    value = holder.get_property(prop.name)
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
