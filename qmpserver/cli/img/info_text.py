"""Write what is known of an image for people to read."""

from collections.abc import Iterator
from typing import Any

from qmpserver.cli.img.json_text import in_order
from qmpserver.cli.img.numbers import human_size
from qmpserver.cli.img.snapshot_list import snapshot_rows

_INDENT = "    "

_LIMITS = {
    "request-alignment": "request alignment",
    "max-discard": "max discard",
    "discard-alignment": "discard alignment",
    "max-write-zeroes": "max write zeroes",
    "write-zeroes-alignment": "write zeroes alignment",
    "opt-transfer": "opt transfer",
    "max-transfer": "max transfer",
    "max-hw-transfer": "max hw transfer",
    "max-iov": "max iov",
    "max-hw-iov": "max hw iov",
    "min-mem-alignment": "min mem alignment",
    "opt-mem-alignment": "opt mem alignment",
}


def image_text(info: dict[str, Any]) -> str:
    """Return the text about an image and all that it is stored in, given ``BlockGraphInfo``."""
    return "\n".join(_node_lines(info, path="", indent=""))


def _node_lines(info: dict[str, Any], *, path: str, indent: str) -> Iterator[str]:
    for line in _own_lines(info, is_child=bool(path)):
        yield f"{indent}{line}"
    for child in info["children"]:
        below = f"{path}/{child['name']}"
        yield f"Child node '{below}':"
        yield from _node_lines(child["info"], path=below, indent=_INDENT)


def _own_lines(info: dict[str, Any], *, is_child: bool) -> Iterator[str]:
    yield f"{'filename' if is_child else 'image'}: {info['filename']}"
    yield f"{'protocol type' if is_child else 'file format'}: {info['format']}"
    size = info["virtual-size"]
    yield f"{'file length' if is_child else 'virtual size'}: {human_size(size)} ({size} bytes)"
    yield f"disk size: {human_size(info['actual-size']) if 'actual-size' in info else 'unavailable'}"
    if info.get("encrypted"):
        yield "encrypted: yes"
    if "cluster-size" in info:
        yield f"cluster_size: {info['cluster-size']}"
    if info.get("dirty-flag"):
        yield "cleanly shut down: no"
    yield from _backing_lines(info)
    if "snapshots" in info:
        yield from snapshot_rows(info["snapshots"]).splitlines()
    if "limits" in info:
        yield "Block limits:"
        yield from (f"{_INDENT}{_LIMITS[name]}: {value}" for name, value in in_order(info["limits"]))
    data = info.get("format-specific", {}).get("data")
    if data:
        yield from specific_lines(data)


def specific_lines(data: dict[str, Any]) -> Iterator[str]:
    """Write what only images of one format have, given the data of ``ImageInfoSpecific``."""
    yield "Format specific information:"
    yield from _members(data, _INDENT)


def _backing_lines(info: dict[str, Any]) -> Iterator[str]:
    name = info.get("backing-filename")
    if name is None:
        return
    full_name = info.get("full-backing-filename")
    if full_name is None:
        yield f"backing file: {name} (cannot determine actual path)"
    elif full_name != name:
        yield f"backing file: {name} (actual path: {full_name})"
    else:
        yield f"backing file: {name}"
    if "backing-filename-format" in info:
        yield f"backing file format: {info['backing-filename-format']}"


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
