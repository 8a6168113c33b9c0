"""Work out the options a node is to have after it is reopened.

Options are kept flat here, under dotted names (`cache.direct`, `children.0`), as QEMU keeps them and
names them in its refusals.  Of several sources the first that says something wins: what the command gives,
what the node was given itself when it keeps that, what its parent hands down, and what it has.
"""

from collections.abc import Mapping
from typing import Any, Final

from qmpserver.block.view import NodeFlags
from qmpserver.driver_api.permissions import ChildRole

COMMON: Final = frozenset(
    (
        "driver",
        "node-name",
        "read-only",
        "auto-read-only",
        "cache.direct",
        "cache.no-flush",
        "discard",
        "detect-zeroes",
        "force-share",
        "active",
    )
)
"""What is not the driver's own."""

RESETTABLE: Final = COMMON - {"driver", "force-share", "active"}
"""What of it may be left out, and so goes back to its default."""

CHANGEABLE: Final = RESETTABLE - {"node-name"}
"""What of it may be given another value."""

_HANDED_DOWN: Final = ("cache.direct", "cache.no-flush")
_HANDED_TO_STORAGE: Final = (*_HANDED_DOWN, "read-only", "auto-read-only")


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Give nested objects and lists dotted names."""
    if isinstance(value, Mapping):
        items: list[tuple[Any, Any]] = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, item in items:
        flat |= flatten(item, f"{prefix}.{key}" if prefix else str(key))
    return flat


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Undo :func:`flatten`."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        place = nested
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return {key: _with_lists(value) for key, value in nested.items()}


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    items = {key: _with_lists(item) for key, item in value.items()}
    return list(items.values()) if items and all(key.isdigit() for key in items) else items


def take_below(options: dict[str, Any], child: str) -> dict[str, Any]:
    """Take out, and return under their own names, the options that describe a child in place."""
    prefix = f"{child}."
    return {name[len(prefix) :]: options.pop(name) for name in list(options) if name.startswith(prefix)}


def without_child(options: Mapping[str, Any], child: str) -> dict[str, Any]:
    """Return options without those that name or describe a child."""
    return {
        name: value for name, value in options.items() if name != child and not name.startswith(f"{child}.")
    }


def handed_down(parent: Mapping[str, Any], role: ChildRole) -> dict[str, Any]:
    """Return what a child that was opened for its parent takes over of the parent's options."""
    if role & ChildRole.COW:
        given = {name: parent[name] for name in _HANDED_DOWN if name in parent}
        return given | {"read-only": True, "auto-read-only": False}
    given = {name: parent[name] for name in _HANDED_TO_STORAGE if name in parent}
    return given | {"discard": "unmap"}


def as_options(flags: NodeFlags) -> dict[str, Any]:
    """Return the options that say what flags say, of those that are handed down or kept."""
    return {
        "read-only": flags.read_only,
        "auto-read-only": flags.auto_read_only,
        "cache.direct": flags.direct,
        "cache.no-flush": flags.no_flush,
    }


def as_flags(options: Mapping[str, Any], old: NodeFlags, *, discard: bool) -> NodeFlags:
    """Return the flags that options amount to.

    Args:
        options: What is to be in force; what they do not say is off.
        old: The flags as they are; what cannot be changed stays.
        discard: Whether discards are passed down if the options do not say.
    """
    wanted = options.get("discard")
    return old.but(
        read_only=options.get("read-only", False),
        auto_read_only=options.get("auto-read-only", False),
        direct=options.get("cache.direct", False),
        no_flush=options.get("cache.no-flush", False),
        discard=discard if wanted is None else wanted == "unmap",
        detect_zeroes=options.get("detect-zeroes", "off"),
    )
