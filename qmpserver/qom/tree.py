"""Find objects by path.

The tree is ``/objects/ID`` for what users made, ``/chardevs/LABEL`` for character devices, and two empty
containers.  A path that does not begin with ``/`` is the end of one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from qmpserver.errors import DeviceNotFound, QMPError
from qmpserver.qom.types import Property, properties_of
from qmpserver.qom.user_object import UserObject

CONTAINERS = ("backend", "objects", "chardevs", "audiodevs")


@dataclass(frozen=True, slots=True)
class Container:
    """An object that holds others.

    Attributes:
        path: Where it is.
        children: What it holds, by name.
    """

    path: str
    children: Mapping[str, "Item"] = field(default_factory=dict)

    qom_type = "container"

    def properties(self) -> list[Property]:
        """Return its properties; each child is one."""
        links = [Property(name, f"child<{item.qom_type}>") for name, item in self.children.items()]
        return [*properties_of(self.qom_type), *links]

    def get_property(self, name: str) -> Any:
        """Return the type's name, or the path of a child."""
        return self.qom_type if name == "type" else f"{self.path.rstrip('/')}/{name}"

    def set_property(self, name: str, value: Any) -> None:
        """Refuse: what a container holds comes and goes by other means.

        Raises:
            QMPError: Always.
        """
        raise QMPError(f"Property '{self.qom_type}.{name}' is not writable")


@dataclass(frozen=True, slots=True)
class Leaf:
    """An object that is shown with its type only."""

    qom_type: str

    def get_property(self, name: str) -> Any:
        """Return the type's name, the one property."""
        return self.qom_type

    def set_property(self, name: str, value: Any) -> None:
        """Refuse.

        Raises:
            QMPError: Always.
        """
        raise QMPError(f"Property '{self.qom_type}.{name}' is not writable")


Item = Union[Container, Leaf, UserObject]  # noqa: UP007 - it refers to itself


def make_tree(objects: Mapping[str, UserObject], chardevs: Mapping[str, str]) -> Container:
    """Return the root of a tree.

    Args:
        objects: What users made, by id.
        chardevs: The types of the character devices, by label.
    """
    held: dict[str, dict[str, Item]] = {
        "objects": dict(objects),
        "chardevs": {label: Leaf(qom_type) for label, qom_type in chardevs.items()},
    }
    return Container("/", {name: Container(f"/{name}", held.get(name, {})) for name in CONTAINERS})


def find(root: Container, path: str) -> Item:
    """Return what a path leads to.

    Raises:
        DeviceNotFound: It leads nowhere.
        QMPError: It could lead to more than one place.
    """
    parts = [part for part in path.split("/") if part]
    if path.startswith("/"):
        found = [item for place, item in _walk(root, ()) if list(place) == parts]
    else:
        found = [item for place, item in _walk(root, ()) if list(place)[len(place) - len(parts) :] == parts]
    if len(found) > 1:
        raise QMPError(f"Path '{path}' is ambiguous")
    if not found:
        raise DeviceNotFound(f"Device '{path}' not found")
    return found[0]


def _walk(item: Item, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Item]]:
    yield place, item
    if isinstance(item, Container):
        for name, child in item.children.items():
            yield from _walk(child, (*place, name))


def properties(item: Item) -> list[Property]:
    """Return the properties of an object."""
    return item.properties() if isinstance(item, Container) else _leaf_properties(item)


def _leaf_properties(item: Leaf | UserObject) -> list[Property]:
    return properties_of(item.qom_type)


def check_property(item: Item, name: str) -> None:
    """Check that an object has a property.

    Raises:
        QMPError: It has not.
    """
    if all(entry.name != name for entry in properties(item)):
        raise QMPError(f"Property '{item.qom_type}.{name}' not found")
