"""Make the actions on dirty bitmaps, for a command of their own or for a transaction.

The graph is locked from now to the end of the action.  Each raises QMPError when what it names is not there.
"""

from collections.abc import Mapping
from typing import Any

from qmpserver.block.bitmap_actions import (
    AddBitmap,
    ClearBitmap,
    MergeBitmaps,
    NewBitmap,
    RemoveBitmap,
    SwitchBitmap,
)
from qmpserver.block.bitmap_lookup import find
from qmpserver.daemon import Daemon


def add(
    daemon: Daemon,
    *,
    node: str,
    name: str,
    granularity: int | None = None,
    persistent: bool = False,
    disabled: bool = False,
) -> AddBitmap:
    """Return the action of ``block-dirty-bitmap-add``."""
    wanted = NewBitmap(name, granularity, is_persistent=persistent, is_enabled=not disabled)
    return AddBitmap(daemon.graph.find(node), wanted)


def remove(daemon: Daemon, *, node: str, name: str) -> RemoveBitmap:
    """Return the action of ``block-dirty-bitmap-remove``."""
    return RemoveBitmap(*find(daemon.graph, node, name))


def clear(daemon: Daemon, *, node: str, name: str) -> ClearBitmap:
    """Return the action of ``block-dirty-bitmap-clear``."""
    return ClearBitmap(find(daemon.graph, node, name)[1])


def enable(daemon: Daemon, *, node: str, name: str) -> SwitchBitmap:
    """Return the action of ``block-dirty-bitmap-enable``."""
    return SwitchBitmap(find(daemon.graph, node, name)[1], is_enabled=True)


def disable(daemon: Daemon, *, node: str, name: str) -> SwitchBitmap:
    """Return the action of ``block-dirty-bitmap-disable``."""
    return SwitchBitmap(find(daemon.graph, node, name)[1], is_enabled=False)


def merge(daemon: Daemon, *, node: str, target: str, bitmaps: list[str | Mapping[str, Any]]) -> MergeBitmaps:
    """Return the action of ``block-dirty-bitmap-merge``."""
    sources = [
        (node, bitmap) if isinstance(bitmap, str) else (bitmap["node"], bitmap["name"]) for bitmap in bitmaps
    ]
    return MergeBitmaps(daemon.graph, (node, target), sources)
