"""Describe a device that is there, and the buses that devices are plugged into.

The two know each other: a bus belongs to a device and holds devices.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qmpserver.errors import QMPError
from qmpserver.machine.devices.device_type import DeviceType
from qmpserver.machine.devices.properties import DeviceProperty
from qmpserver.machine.devices.types.table import DEVICE_TYPES
from qmpserver.machine.media.drive import Drive
from qmpserver.qom.tree import Item
from qmpserver.qom.types import Property

ROOT_BUS = "main-system-bus"
"""What the bus at the root of all others is called."""

_ROOT_BUS_PATH = "/machine/unattached/sysbus"
_MOST_DEVICES = {"virtio-pci-bus": 1, "virtio-mmio-bus": 1}
"""How many devices fit, where that does not depend on the bus."""

_HOTPLUGGABLE = ("SCSI", "usb-bus", "virtio-serial-bus", "nvme-bus")
"""Kinds of buses that devices can come to and go from while the machine is there, besides PCI."""

_COLD_PCI_PARENTS = ("q35-pcihost", "pxb", "x3130-upstream")
"""Devices whose PCI bus is as it was when the machine was made."""

_CHANGEABLE = ("bootindex", "guest-stats-polling-interval")
"""Properties that can be changed while a device is there."""


@dataclass(eq=False, slots=True)
class Bus:
    """A bus.

    Attributes:
        type_name: Its kind.
        name: What it is called.
        parent: The device that it belongs to; None for `ROOT_BUS`.
        number: How many of its kind there were before it.
        devices: The devices in it, the oldest first.
        children: Devices that have no path but one through it, by name.
    """

    type_name: str
    name: str
    parent: "Device | None" = None
    number: int = 0
    devices: "list[Device]" = field(default_factory=list)
    children: dict[str, Item] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Its path among the objects."""
        return f"{self.parent.qom_path}/{self.name}" if self.parent else _ROOT_BUS_PATH

    @property
    def is_full(self) -> bool:
        """Nothing more can be plugged into it."""
        most = _MOST_DEVICES.get(self.type_name)
        return most is not None and len(self.devices) >= most

    @property
    def is_hotpluggable(self) -> bool:
        """Devices can come to it and go from it while the machine is there."""
        if not (self.fits("PCI") or self.type_name in _HOTPLUGGABLE):
            return False
        if self.fits("PCI") and (self.parent is None or any(map(self.parent.is_a, _COLD_PCI_PARENTS))):
            return False
        return self.parent is None or self.parent.value("hotplug") is not False

    def fits(self, bus_type: str | None) -> bool:
        """Say whether devices for a kind of bus can be plugged into it."""
        return bus_type is not None and DEVICE_TYPES.table.descends_from(self.type_name, bus_type)

    @property
    def qom_type(self) -> str:
        """Its type."""
        return self.type_name

    @property
    def links(self) -> Sequence[Property]:
        """Links to the devices in it."""
        return [
            Property(f"child[{number}]", f"link<{device.qom_type}>")
            for number, device in enumerate(self.devices)
        ]

    def get_property(self, name: str) -> Any:
        """Return the value of a property."""
        paths = {f"child[{number}]": device.qom_path for number, device in enumerate(self.devices)}
        inner = {name: f"{self.path}/{name}" for name in self.children}
        return {"type": self.qom_type, "realized": True, "hotplug-handler": "", **paths, **inner}[name]

    def set_property(self, name: str, value: Any) -> None:
        """Refuse.

        Raises:
            QMPError: Always.
        """
        raise QMPError(f"Property '{self.qom_type}.{name}' is not writable")


@dataclass(eq=False, slots=True)
class Device:
    """A device.

    Attributes:
        type: Its type.
        device_id: What its user calls it, or None.
        values: The values of its properties; those that nobody has said anything of are as its type has them.
        bus: What it is plugged into, or None.
        qom_path: Its path among the objects.
        buses: The buses that it brings.
        backend: The device inside it that does its work, which has the same values.
        inner: Further devices that are part of it, by name; a board's only.
        drive: What it reads and writes, or None.
        passes_to_removable: The disk of the host that it passes commands on to can be taken out.
        hotplugged: It came when the machine was there already.
        is_leaving: It has been told to go.
        check_boot_index: Refuses a place in the order of booting that another device has.
        usb_port: The USB port it is in; empty otherwise.
        change_drive: Lets its drive use the node of a name.
    """

    type: DeviceType
    device_id: str | None = None
    values: dict[str, Any] = field(default_factory=dict)
    bus: Bus | None = None
    qom_path: str = ""
    buses: list[Bus] = field(default_factory=list)
    backend: "Device | None" = None
    inner: dict[str, Item] = field(default_factory=dict)
    drive: Drive | None = None
    passes_to_removable: bool = False
    hotplugged: bool = False
    is_leaving: bool = False
    usb_port: str = ""
    check_boot_index: Callable[[int], object] = lambda _index: None
    change_drive: Callable[[Drive, str], Awaitable[None]] | None = None

    def is_a(self, type_name: str) -> bool:
        """Say whether its type is, or descends from, another."""
        return DEVICE_TYPES.table.descends_from(self.type.name, type_name)

    @property
    def is_hotpluggable(self) -> bool:
        """Whether it can come and go while the machine is there."""
        return DEVICE_TYPES.is_hotpluggable(self.type) and (self.bus is None or self.bus.is_hotpluggable)

    def value(self, name: str) -> Any:
        """Return the value of a property, or None when it has none."""
        return self.values.get(name)

    def plugged_in(self) -> "Iterator[Device]":
        """Go through all devices that are plugged into it, directly or not, the innermost first."""
        for bus in self.buses:
            for device in reversed(bus.devices):
                yield from device.plugged_in()
                yield device

    # What its drive asks

    @property
    def qdev_path(self) -> str:
        """What others call it: its id, or its path where it has none."""
        return self.device_id or self.qom_path

    @property
    def drive_owner(self) -> str:
        """The type that has the `drive` property."""
        return self.type.name

    @property
    def properties(self) -> Mapping[str, Any]:
        """The values of its properties."""
        return self.values

    @property
    def is_removable(self) -> bool:
        """Whether its medium can be taken out."""
        return self.has_tray or self.type.name == "floppy"

    @property
    def has_tray(self) -> bool:
        """Whether its medium lies in a tray that opens."""
        is_by_type = self.type.name in ("scsi-cd", "ide-cd") or bool(self.value("removable"))
        return is_by_type or self.passes_to_removable

    @property
    def read_only(self) -> bool:
        """Whether it never writes."""
        return self.type.name in ("scsi-cd", "ide-cd")

    @property
    def needs_writable(self) -> bool:
        """Whether it refuses a medium that is read-only."""
        return self.type.name == "ide-hd"

    @property
    def allows_resize(self) -> bool:
        """Whether it bears it that its medium changes its size."""
        return self.type.name not in ("ide-cd", "scsi-cd", "floppy", "nvme", "nvme-ns")

    @property
    def counts_held(self) -> bool:
        """Whether it counts a request as failed that is held and made again."""
        return self.is_a("scsi-device")

    @property
    def has_io_status(self) -> bool:
        """Whether it remembers that a request failed and stopped the machine."""
        return "rerror" in self.values or self.is_a("ide-device")

    # What the tree of objects asks

    @property
    def qom_type(self) -> str:
        """Its type."""
        return self.type.name

    @property
    def children(self) -> Mapping[str, Item]:
        """Its buses, and what does its work."""
        buses: dict[str, Item] = {bus.name: bus for bus in self.buses}
        return buses | self.inner | ({"virtio-backend": self.backend} if self.backend else {})

    @property
    def links(self) -> Sequence[Property]:
        """Nothing further."""
        return ()

    def get_property(self, name: str) -> Any:
        """Return the value of a property that the type has."""
        if name == "parent_bus":
            return self.bus.path if self.bus else ""
        if name == "drive":
            return self._drive_name()
        if name in self.children:
            return f"{self.qom_path}/{name}"
        said = {
            "type": self.qom_type,
            "realized": True,
            "hotplugged": self.hotplugged,
            "hotpluggable": self.is_hotpluggable,
        }
        return said[name] if name in said else self.values[name]

    def _drive_name(self) -> str:
        holder = self.backend or self
        if holder.drive is None:
            return ""
        medium = holder.drive.medium
        return holder.drive.name or (medium.node_name if medium else "")

    def set_property(self, name: str, value: Any) -> Awaitable[None] | None:
        """Change one of the few properties that can be changed while the device is there.

        Returns:
            What is to be awaited until the drive has changed; None for what has changed already.

        Raises:
            QMPError: It cannot be changed, or not to this value; it is as before.
        """
        drive = (self.backend or self).drive
        if name == "drive" and drive is not None and self.change_drive is not None:
            return self.change_drive(drive, self._known(name).from_json(value))
        if name not in _CHANGEABLE:
            owner = self.owner_of(name)
            is_named = self.device_id is not None and owner == self.qom_type
            who = f"device '{self.device_id}'" if is_named else "anonymous device"
            raise QMPError(
                f"Attempt to set property '{name}' on {who} (type '{owner}') after it was realized"
            )
        read = self._known(name).from_json(value)
        if name == "bootindex":
            self.check_boot_index(read)
        self.values[name] = read
        return None

    def _known(self, name: str) -> DeviceProperty:
        known = DEVICE_TYPES.own_properties(self.type)
        if name not in known and self.backend is not None:
            known = DEVICE_TYPES.own_properties(self.backend.type)
        return known[name]

    def owner_of(self, name: str) -> str:
        """Return the type that has a property itself, be it that of the device inside."""
        if name == "chardev" and self.type.name in ("isa-serial", "pci-serial"):
            # QEMU: the port itself is a device inside these.
            return "serial"
        if self.backend and name not in DEVICE_TYPES.own_properties(self.type):
            return self.backend.qom_type
        return self.qom_type
