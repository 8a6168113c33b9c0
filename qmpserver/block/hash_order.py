"""Put the members of an object in the order in which QEMU prints them.

QEMU: that is the order of its hash table, which this imitates, so that texts can be compared.
"""

from typing import Any

_BUCKETS = 512
_WORD = 0xFFFF_FFFF


def in_order(members: dict[str, Any]) -> list[tuple[str, Any]]:
    """Order members by the hash of their names; of two with the same, the later one comes first."""
    newest_first = list(members.items())[::-1]
    return sorted(newest_first, key=lambda member: _hash(member[0]) % _BUCKETS)


def ordered(value: Any) -> Any:
    """Return a value whose objects, at any depth, have their members in that order."""
    if isinstance(value, dict):
        return {name: ordered(item) for name, item in in_order(value)}
    return [ordered(item) for item in value] if isinstance(value, list) else value


def _hash(name: str) -> int:
    """Compute the hash that TDB, and QEMU after it, gives a key."""
    data = name.encode()
    value = 0x238F13AF * len(data)
    for index, byte in enumerate(data):
        value += byte << (index * 5 % 24)
    return 1103515243 * (value & _WORD) + 12345 & _WORD
