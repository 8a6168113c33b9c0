"""Write JSON as the image tool prints it: four blanks a level, members in QEMU's order.

QEMU: it prints an object in the order of its hash table, which this imitates, so that outputs can be compared
as texts.
"""

import json
from typing import Any

_BUCKETS = 512
_WORD = 0xFFFF_FFFF


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


def in_order(members: dict[str, Any]) -> list[tuple[str, Any]]:
    """Order members by the hash of their names; of two with the same, the later one comes first."""
    newest_first = list(members.items())[::-1]
    return sorted(newest_first, key=lambda member: _hash(member[0]) % _BUCKETS)


def _hash(name: str) -> int:
    """Compute the hash that TDB, and QEMU after it, gives a key."""
    data = name.encode()
    value = 0x238F13AF * len(data)
    for index, byte in enumerate(data):
        value += byte << (index * 5 % 24)
    return 1103515243 * (value & _WORD) + 12345 & _WORD
