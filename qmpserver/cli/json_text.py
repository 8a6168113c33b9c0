"""Write JSON as the image tool prints it: four blanks a level, members in QEMU's order."""

import json
from typing import Any

from qmpserver.block.hash_order import in_order


def write_json(value: Any) -> str:
    """Return the text of a value, without a line's end."""
    return _text(value, "")


def _text(value: Any, indent: str) -> str:
    below = indent + "    "
    if isinstance(value, dict):
        members = ",".join(
            f"\n{below}{json.dumps(name)}: {_text(item, below)}" for name, item in in_order(value)
        )
        return "{" + f"{members}\n{indent}" + "}"
    if isinstance(value, list | tuple):
        items = ",".join(f"\n{below}{_text(item, below)}" for item in value)
        return f"[{items}\n{indent}]"
    return json.dumps(value, ensure_ascii=False)
