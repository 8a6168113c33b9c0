"""Write what is known of an image for people to read."""

from collections.abc import Iterator
from typing import Any

from qmpserver.block.format_specific import specific_lines
from qmpserver.block.hash_order import in_order
from qmpserver.block.snapshot_list import snapshot_rows
from qmpserver.numerals import human_size

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
