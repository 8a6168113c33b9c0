"""Look at objects by path, and change their properties."""

from typing import Any

from qmpserver.daemon import Daemon
from qmpserver.qom import tree
from qmpserver.qom.types import TYPES, ObjectType, Property, descends_from, properties_of
from qmpserver.qom.user_object import UserObject
from qmpserver.schema.qapi import Union


def qom_list(daemon: Daemon, *, path: str) -> list[dict[str, Any]]:
    """List the properties of an object."""
    return [_property_info(entry) for entry in tree.properties(_find(daemon, path))]


def qom_list_get(daemon: Daemon, *, paths: list[str]) -> list[dict[str, Any]]:
    """List the properties of objects, with their values."""
    found = [_find(daemon, path) for path in paths]
    return [
        {
            "properties": [
                {**_property_info(entry), "value": item.get_property(entry.name)}
                for entry in tree.properties(item)
            ]
        }
        for item in found
    ]


def qom_get(daemon: Daemon, *, path: str, property: str) -> Any:  # noqa: A002 - the wire's name
    """Return the value of a property."""
    item = _find(daemon, path)
    tree.check_property(item, property)
    return item.get_property(property)


def qom_set(daemon: Daemon, *, path: str, property: str, value: Any) -> None:  # noqa: A002 - the wire's name
    """Change a property."""
    item = _find(daemon, path)
    tree.check_property(item, property)
    if isinstance(item, UserObject) and property != "type":
        _check_value(daemon, item, property, value)
    item.set_property(property, value)


def qom_list_types(
    daemon: Daemon, *, implements: str | None = None, abstract: bool = False
) -> list[dict[str, Any]]:
    """List the types of objects."""
    del daemon
    return [
        _type_info(entry)
        for entry in TYPES.values()
        if (abstract or not entry.is_abstract)
        and (implements is None or descends_from(entry.name, implements))
    ]


def qom_list_properties(daemon: Daemon, *, typename: str) -> list[dict[str, Any]]:
    """List the properties that objects of a type have."""
    del daemon
    return [_property_info(entry) for entry in properties_of(typename)]


def _find(daemon: Daemon, path: str) -> tree.Item:
    chardevs = {chardev.label: f"chardev-{chardev.backend}" for chardev in daemon.chardevs}
    return tree.find(tree.make_tree(daemon.objects.items(), chardevs), path)


def _check_value(daemon: Daemon, item: UserObject, name: str, value: Any) -> None:
    """Hold a property's new value against the type that ``object-add`` has for it."""
    options = daemon.schema.type("ObjectOptions").type
    assert isinstance(options, Union)
    daemon.schema.type(options.branches[item.qom_type].name).check({name: value})


def _property_info(entry: Property) -> dict[str, Any]:
    return {"name": entry.name, "type": entry.type_name}


def _type_info(entry: ObjectType) -> dict[str, Any]:
    info: dict[str, Any] = {"name": entry.name}
    if entry.is_abstract:
        info["abstract"] = True
    if entry.parent is not None:
        info["parent"] = entry.parent
    return info
