"""Look at objects by path, and change their properties."""

from typing import Any

from qmpserver.daemon import Daemon
from qmpserver.qom import tree
from qmpserver.qom.types import Property, TypeEntry
from qmpserver.qom.user_object import UserObject
from qmpserver.schema.qapi import Union


def qom_list(daemon: Daemon, *, path: str) -> list[dict[str, Any]]:
    """List the properties of an object."""
    found = tree.properties(_find(daemon, path), daemon.object_types)
    return [{"name": entry.name, "type": entry.type_name} for entry in found]


def qom_list_get(daemon: Daemon, *, paths: list[str]) -> list[dict[str, Any]]:
    """List the properties of objects, with their values."""
    found = [_find(daemon, path) for path in paths]
    return [
        {
            "properties": [
                {"name": entry.name, "type": entry.type_name, "value": item.get_property(entry.name)}
                for entry in tree.properties(item, daemon.object_types)
            ]
        }
        for item in found
    ]


def qom_get(daemon: Daemon, *, path: str, property: str) -> Any:  # noqa: A002 - the wire's name
    """Return the value of a property."""
    item = _find_one(daemon, path)
    tree.check_property(item, property, daemon.object_types)
    return item.get_property(property)


async def qom_set(daemon: Daemon, *, path: str, property: str, value: Any) -> None:  # noqa: A002 - the wire's name
    """Change a property."""
    item = _find_one(daemon, path)
    tree.check_property(item, property, daemon.object_types)
    if isinstance(item, UserObject) and property != "type":
        _check_value(daemon, item, property, value)
    changing = item.set_property(property, value)
    if changing is not None:
        await changing


def qom_list_types(
    daemon: Daemon, *, implements: str | None = None, abstract: bool = False
) -> list[dict[str, Any]]:
    """List the types of objects."""
    types = daemon.object_types
    return [
        _type_info(entry)
        for entry in types
        if (abstract or not entry.is_abstract)
        and (implements is None or types.descends_from(entry.name, implements))
    ]


def qom_list_properties(daemon: Daemon, *, typename: str) -> list[dict[str, Any]]:
    """List the properties that objects of a type have."""
    return [property_info(entry) for entry in daemon.object_types.properties_of(typename)]


def _find(daemon: Daemon, path: str) -> tree.Item:
    chardevs = {chardev.label: f"chardev-{chardev.backend}" for chardev in daemon.chardevs}
    return tree.find(tree.make_tree(daemon.objects.items(), chardevs, daemon.further_objects()), path)


def _find_one(daemon: Daemon, path: str) -> tree.Item:
    """Find an object; QEMU: where there could be several, none is found."""
    try:
        return _find(daemon, path)
    except tree.AmbiguousPath as error:
        raise tree.not_found(path) from error


def _check_value(daemon: Daemon, item: UserObject, name: str, value: Any) -> None:
    """Hold a property's new value against the type that ``object-add`` has for it."""
    options = daemon.schema.type("ObjectOptions").type
    assert isinstance(options, Union)
    member = next(entry for entry in options.branches[item.qom_type].members if entry.name == name)
    daemon.schema.check_value(member.type, value, name)


def property_info(entry: Property) -> dict[str, Any]:
    """Shape a property of a type as ``ObjectPropertyInfo``."""
    info: dict[str, Any] = {"name": entry.name, "type": entry.type_name}
    if entry.description is not None:
        info["description"] = entry.description
    if entry.default is not None:
        info["default-value"] = entry.default
    return info


def _type_info(entry: TypeEntry) -> dict[str, Any]:
    info: dict[str, Any] = {"name": entry.name}
    if entry.is_abstract:
        info["abstract"] = True
    if entry.parent is not None:
        info["parent"] = entry.parent
    return info
