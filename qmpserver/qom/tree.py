"""Find objects by path.

The tree is ``/objects/ID`` for what users made, ``/chardevs/LABEL`` for character devices, two empty
containers, and what a machine adds.  A path that does not begin with ``/`` is the end of one.
"""

from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from qmpserver.errors import DeviceNotFound, QMPError
from qmpserver.qom.types import Property, TypeTable

CONTAINERS = ("backend", "objects", "chardevs", "audiodevs")


class Item(Protocol):
    """An object in the tree."""

    @property
    def qom_type(self) -> str:
        """Its type."""

    @property
    def children(self) -> Mapping[str, "Item"]:
        """What it holds, by name."""

    @property
    def links(self) -> Sequence[Property]:
        """Properties that it has beyond those of its type and its children."""

    def get_property(self, name: str) -> Any:
        """Return the value of a property; of a child or another object, its path."""

    def set_property(self, name: str, value: Any) -> Awaitable[None] | None:
        """Change a property that there is.

        Returns:
            What is to be awaited until it has changed, and raises as below; None when it has.

        Raises:
            QMPError: It cannot be changed, or not to this value; it is as before.
        """


@dataclass(frozen=True, slots=True)
class Container:
    """An object that holds others.

    Attributes:
        path: Where it is.
        children: What it holds, by name.
        qom_type: Its type.
    """

    path: str
    children: Mapping[str, Item] = field(default_factory=dict)
    qom_type: str = "container"

    @property
    def links(self) -> Sequence[Property]:
        """Nothing further."""
        return ()

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

    @property
    def children(self) -> Mapping[str, Item]:
        """Nothing."""
        return {}

    @property
    def links(self) -> Sequence[Property]:
        """Nothing further."""
        return ()

    def get_property(self, name: str) -> Any:
        """Return the type's name, the one property."""
        return self.qom_type

    def set_property(self, name: str, value: Any) -> None:
        """Refuse.

        Raises:
            QMPError: Always.
        """
        raise QMPError(f"Property '{self.qom_type}.{name}' is not writable")


def make_tree(
    objects: Mapping[str, Item], chardevs: Mapping[str, str], further: Mapping[str, Item] | None = None
) -> Container:
    """Return the root of a tree.

    Args:
        objects: What users made, by id.
        chardevs: The types of the character devices, by label.
        further: What else lies at the top, by name.
    """
    held: dict[str, dict[str, Item]] = {
        "objects": dict(objects),
        "chardevs": {label: Leaf(qom_type) for label, qom_type in chardevs.items()},
    }
    always = {name: Container(f"/{name}", held.get(name, {})) for name in CONTAINERS}
    return Container("/", {**always, **(further or {})})


class AmbiguousPath(QMPError):
    """Refuse a path that could lead to more than one place."""


def find(root: Item, path: str) -> Item:
    """Return what a path leads to.

    Raises:
        DeviceNotFound: It leads nowhere.
        AmbiguousPath: It could lead to more than one place.
    """
    parts = [part for part in path.split("/") if part]
    found = [*_at(root, parts)] if path.startswith("/") else [*_ending_in(root, parts)]
    if len(found) > 1:
        raise AmbiguousPath(f"Path '{path}' is ambiguous")
    if not found:
        raise not_found(path)
    return found[0]


def not_found(path: str) -> DeviceNotFound:
    """Return the refusal of a path that leads nowhere."""
    return DeviceNotFound(f"Device '{path}' not found")


def _at(item: Item, parts: Sequence[str]) -> Iterator[Item]:
    """Give what lies at the end of the names, seen from an object."""
    if not parts:
        yield item
    elif parts[0] in item.children:
        yield from _at(item.children[parts[0]], parts[1:])


def _ending_in(item: Item, parts: Sequence[str]) -> Iterator[Item]:
    """Give what lies at the end of the names, seen from an object or from anything in it."""
    yield from _at(item, parts)
    for child in item.children.values():
        yield from _ending_in(child, parts)


def properties(item: Item, types: TypeTable) -> list[Property]:
    """Return the properties of an object; each child is one."""
    found = {entry.name: entry for entry in types.properties_of(item.qom_type)}
    for name, child in item.children.items():
        found[name] = Property(name, f"child<{child.qom_type}>")
    found.update((entry.name, entry) for entry in item.links)
    return list(found.values())


def check_property(item: Item, name: str, types: TypeTable) -> None:
    """Check that an object has a property.

    Raises:
        QMPError: It has not.
    """
    if all(entry.name != name for entry in properties(item, types)):
        raise QMPError(f"Property '{item.qom_type}.{name}' not found")
