"""Know which parts of the program can be told to log in detail, and by which names.

QEMU has hundreds of trace events; here each part of the program has a logger, and a pattern means every logger
it fits, by the logger's own name or by the first word of QEMU's events.
"""

import fnmatch
from collections.abc import Iterable

CATEGORIES = {
    "block": ("bdrv", "blk", "file", "mirror", "qcow2", "raw"),
    "daemon": ("blockdev", "object", "qdev", "qom"),
    "drives": ("scsi", "virtio"),
    "exports": ("export",),
    "fuse": ("fuse",),
    "hmp": ("hmp",),
    "jobs": ("backup", "commit", "job", "stream"),
    "machine": ("runstate", "vm"),
    "migration": ("migrate", "migration"),
    "monitor": ("handle", "monitor", "qio", "qmp", "socket"),
    "nbd": ("export", "nbd"),
    "server": ("main", "runstate"),
    "transaction": ("transaction",),
}
"""The loggers there are, and the first words of QEMU's trace events that mean them."""


def fitting(pattern: str) -> frozenset[str]:
    """Return the loggers that a pattern without its sign fits."""
    found = {name for name in CATEGORIES if fnmatch.fnmatchcase(name, pattern)}
    for name, words in CATEGORIES.items():
        if any(pattern.startswith((f"{word}_", f"{word}*")) or pattern == word for word in (name, *words)):
            found.add(name)
    return frozenset(found)


def traced_loggers(patterns: Iterable[str], on: frozenset[str] = frozenset()) -> frozenset[str]:
    """Return the loggers that are on after all patterns were applied in order to those that are on already."""
    for pattern in patterns:
        if pattern.startswith("-"):
            on -= fitting(pattern[1:])
        else:
            on |= fitting(pattern)
    return on
