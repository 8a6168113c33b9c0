"""Show the machine itself as an object."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qmpserver.errors import QMPError
from qmpserver.machine.devices.types.table import OBJECT_TYPES
from qmpserver.qom.tree import Item
from qmpserver.qom.types import Property

_CACHES = ("l1d", "l1i", "l2", "l3")

_VALUES: Mapping[str, Any] = {
    "boot": {"order": "cad"},
    "bus-lock-ratelimit": 0,
    "cxl-fmw": [],
    "dump-guest-core": True,
    "fd-bootchk": True,
    "graphics": True,
    "hpet": True,
    "i8042": True,
    "max-fw-size": 8 << 20,
    "max-ram-below-4g": 3584 << 20,
    "mem-merge": True,
    "phandle-start": 0,
    "sata": True,
    "sgx-epc": [],
    "smbios-entry-point-type": "auto",
    "smbus": True,
    "smp-cache": [{"cache": cache, "topology": "default"} for cache in _CACHES],
    "spcr": True,
    "vmport": "on",
    "x-south-bridge": "PIIX3",
}
"""The properties of boards that are not as most of their kind, and the same in every machine."""

_BY_KIND = {"bool": False, "OnOffAuto": "auto"}


@dataclass(frozen=True, slots=True)
class BoardObject:
    """A machine.

    Attributes:
        path: Where it is.
        qom_type: The type of its board.
        children: What it holds, by name.
        values: Those of its properties that are not the same in every machine.
    """

    path: str
    qom_type: str
    children: Mapping[str, Item]
    values: Mapping[str, Any]

    @property
    def links(self) -> Sequence[Property]:
        """Nothing beyond the properties of its type."""
        return ()

    def get_property(self, name: str) -> Any:
        """Return the value of a property, or the path of a child."""
        if name in self.children:
            return f"{self.path}/{name}"
        if name == "type":
            return self.qom_type
        known = {**_VALUES, **self.values}
        kinds = {entry.name: entry.type_name for entry in OBJECT_TYPES.properties_of(self.qom_type)}
        return known[name] if name in known else _BY_KIND.get(kinds[name], "")

    def set_property(self, name: str, value: Any) -> None:
        """Refuse: a machine is as it was made.

        Raises:
            QMPError: Always.
        """
        raise QMPError(f"Property '{self.qom_type}.{name}' is not writable")
