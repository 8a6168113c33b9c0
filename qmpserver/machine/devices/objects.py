"""Keep the places that devices have among the objects, all below ``/machine``."""

from collections.abc import Mapping
from itertools import count
from typing import Any

from qmpserver.errors import QMPError
from qmpserver.machine.devices.board_object import BoardObject
from qmpserver.machine.devices.device import ROOT_BUS, Bus, Device
from qmpserver.qom.tree import Container, Item, find

ROOT = "/machine"
_PERIPHERAL = f"{ROOT}/peripheral"


def whole_path(id_or_path: str) -> str:
    """Return the path of an object: one that does not begin at the root begins at the devices with an id."""
    path = id_or_path if id_or_path.startswith("/") else f"{_PERIPHERAL}/{id_or_path}"
    return "/" + "/".join(part for part in path.split("/") if part)


class MachineObjects:
    """What lies below ``/machine``.

    Attributes:
        root_bus: The bus at the root of all others.
        peripheral: Devices with an id, by id.
        anonymous: Devices of users without an id.
        unattached: What the board has, where it does not give it a name.
        named: What the board gives a name.
    """

    def __init__(self) -> None:
        self.root_bus = Bus("System", ROOT_BUS)
        self.peripheral: dict[str, Item] = {}
        self.anonymous: dict[str, Item] = {}
        self.unattached: dict[str, Item] = {"sysbus": self.root_bus}
        self.named: dict[str, Item] = {}
        self._anonymous_numbers = count()
        self._unattached_numbers = count()

    def reserve_path(self, device: Device) -> None:
        """Give the path to a device that a user adds: by its id, or else by a number not given before."""
        if device.device_id is not None:
            _set_path(device, f"{_PERIPHERAL}/{device.device_id}")
        else:
            _set_path(device, f"{ROOT}/peripheral-anon/device[{next(self._anonymous_numbers)}]")

    def add(self, device: Device) -> None:
        """Put a device that has a path of a user's where it leads."""
        name = device.qom_path.rpartition("/")[2]
        (self.peripheral if device.device_id is not None else self.anonymous)[name] = device

    def add_unattached(self, device: Device) -> None:
        """Give a place to a device of the board, or to one that came with another."""
        name = f"device[{next(self._unattached_numbers)}]"
        _set_path(device, f"{ROOT}/unattached/{name}")
        self.unattached[name] = device

    def add_named(self, name: str, device: Device) -> None:
        """Give a place of its own to a device of the board."""
        _set_path(device, f"{ROOT}/{name}")
        self.named[name] = device

    def add_part(self, name: str, device: Device, whole: Device) -> None:
        """Give a place inside another to a device of the board."""
        _set_path(device, f"{whole.qom_path}/{name}")
        whole.inner[name] = device

    def remove(self, device: Device) -> None:
        """Take away the place of a device, if it is not one inside another."""
        name = device.qom_path.rpartition("/")[2]
        on_bus = device.bus.children if device.bus is not None else {}
        for places in (self.peripheral, self.anonymous, self.unattached, self.named, on_bus):
            if places.get(name) is device:
                del places[name]

    def has(self, path: str) -> bool:
        """Say whether something lies at a path."""
        try:
            find(Container("/", {"machine": self.as_object("")}), path)
        except QMPError:
            return False
        return True

    def as_object(self, qom_type: str, values: Mapping[str, Any] | None = None) -> BoardObject:
        """Return the machine as an object.

        Args:
            qom_type: The type of its board.
            values: Those of its properties that were not as they always are.
        """
        places: Mapping[str, Mapping[str, Item]] = {
            "unattached": self.unattached,
            "peripheral": self.peripheral,
            "peripheral-anon": self.anonymous,
        }
        containers = {name: Container(f"{ROOT}/{name}", held) for name, held in places.items()}
        return BoardObject(ROOT, qom_type, {**containers, **self.named}, values or {})


def _set_path(device: Device, path: str) -> None:
    device.qom_path = path
    if device.backend is not None:
        device.backend.qom_path = f"{path}/virtio-backend"
