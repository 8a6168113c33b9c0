"""Describe an object that a user made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qmpserver.errors import QMPError
from qmpserver.qom.tree import Item
from qmpserver.qom.types import TYPES, Property

_EMPTY = {"string": "", "int": 0, "QCryptoSecretFormat": "raw"}
"""What a property of each type is when nothing was said of it."""


@dataclass(frozen=True, slots=True)
class UserObject:
    """An object with an id, a type and properties.

    Attributes:
        object_id: What it is called.
        qom_type: Its type.
        properties: What its user said of it, as far as that is shown.
    """

    object_id: str
    qom_type: str
    properties: Mapping[str, Any]

    @property
    def children(self) -> Mapping[str, Item]:
        """Nothing: an object of a user holds no others."""
        return {}

    @property
    def links(self) -> Sequence[Property]:
        """Nothing beyond the properties of its type."""
        return ()

    def get_property(self, name: str) -> Any:
        """Return the value of a property that the type has."""
        if name == "type":
            return self.qom_type
        types = {entry.name: entry.type_name for entry in TYPES.properties_of(self.qom_type)}
        return self.properties.get(name, _EMPTY.get(types[name], ""))

    def set_property(self, name: str, value: Any) -> None:
        """Change a property that the type has, to a value of the property's type.

        Raises:
            QMPError: It cannot be changed, or not to this value; it is as before.
        """
        raise QMPError(f"Property '{self.qom_type}.{name}' is not writable")

    def check_unused(self) -> None:
        """Refuse to be deleted while something needs the object.

        Raises:
            QMPError: Something does.
        """

    def deleted(self) -> None:
        """Let go of what it holds; the object is gone."""
