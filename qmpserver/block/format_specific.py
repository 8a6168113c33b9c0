"""Write what only images of one format have for people to read."""

from collections.abc import Iterator
from typing import Any

from qmpserver.block.hash_order import in_order

_INDENT = "    "


def specific_lines(data: dict[str, Any]) -> Iterator[str]:
    """Write what only images of one format have, given the data of ``ImageInfoSpecific``."""
    yield "Format specific information:"
    yield from _members(data, _INDENT)


def _members(members: dict[str, Any], indent: str) -> Iterator[str]:
    for name, value in in_order(members):
        yield from _entry(name.replace("-", " "), value, indent)


def _entry(label: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield f"{indent}{label}:"
        yield from _members(value, indent + _INDENT)
    elif isinstance(value, list):
        yield f"{indent}{label}:"
        for index, item in enumerate(value):
            yield from _entry(f"[{index}]", item, indent + _INDENT)
    else:
        shown = {True: "true", False: "false"}.get(value, value) if isinstance(value, bool) else value
        yield f"{indent}{label}: {shown}"
