"""Look up what properties of devices name: drives, character devices, network backends and objects."""

import re
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from qmpserver.chardevs.store import ChardevStore
from qmpserver.errors import DeviceNotFound, QMPError
from qmpserver.machine.devices.device import Device
from qmpserver.machine.devices.properties import DeviceProperty, parse_devfn
from qmpserver.machine.media.store import DriveStore
from qmpserver.objects import ObjectStore
from qmpserver.qom.types import TypeTable

_MAC = re.compile(r"[0-9a-fA-F]{1,2}([:-][0-9a-fA-F]{1,2}){5}")


@dataclass(frozen=True, slots=True)
class References:
    """What devices can refer to.

    Attributes:
        drives: The drives, and through them the nodes.
        chardevs: The character devices.
        objects: The objects of users.
        netdevs: The ids of the network backends.
        types: The types of objects.
    """

    drives: DriveStore
    chardevs: ChardevStore
    objects: ObjectStore
    netdevs: Container[str]
    types: TypeTable

    def resolve(self, device: Device, entry: DeviceProperty, value: Any) -> Any:
        """See that what a value names is there, and return how the value is kept.

        Raises:
            QMPError: It is not there, it is of another type, or somebody else uses it.
        """
        if entry.is_link:
            return self._object(entry, value)
        match entry.kind:
            case "devfn":
                return value if isinstance(value, int) else parse_devfn(device.type.name, entry.name, value)
            case "drive":
                self._check_found(device, entry, value, found=not value or self._is_drive(value))
            case "netdev":
                self._check_found(device, entry, value, found=value in self.netdevs)
            case "chardev":
                self._check_chardev(device, entry, value)
            case "mac":
                if not _MAC.fullmatch(value):
                    raise QMPError(
                        f"Property '{device.owner_of(entry.name)}.mac' doesn't take value '{value}'"
                    )
        return value

    def _is_drive(self, name: str) -> bool:
        return self.drives.named(name) is not None or self.drives.around.graph.get(name) is not None

    def _check_chardev(self, device: Device, entry: DeviceProperty, label: str) -> None:
        chardev = self.chardevs.get(label)
        self._check_found(device, entry, label, found=not label or chardev is not None)
        if chardev is not None and chardev.is_taken:
            raise QMPError(
                f"Property '{device.owner_of(entry.name)}.{entry.name}' can't take value '{label}': "
                f"chardev '{label}' is already in use"
            )

    @staticmethod
    def _check_found(device: Device, entry: DeviceProperty, value: str, *, found: bool) -> None:
        if not found:
            raise QMPError(
                f"Property '{device.owner_of(entry.name)}.{entry.name}' can't find value '{value}'",
                code="not-found",
            )

    def _object(self, entry: DeviceProperty, value: str) -> str:
        if not value:
            return ""
        object_id = value.removeprefix("/objects/")
        found = self.objects.get(object_id)
        if found is None:
            raise DeviceNotFound(f"Device '{value}' not found")
        wanted = entry.type_name.removeprefix("link<").removesuffix(">")
        if not self.types.descends_from(found.qom_type, wanted):
            raise QMPError(f"Invalid parameter type for '{entry.name}', expected: {wanted}")
        return f"/objects/{object_id}"
