"""Add, remove, clear, switch and merge dirty bitmaps."""

from collections.abc import Mapping
from typing import Any, Final

from qmpserver import threads, transaction
from qmpserver.block.bitmap_lookup import find
from qmpserver.block.draining import run_drained
from qmpserver.commands import bitmap_actions
from qmpserver.daemon import Daemon
from qmpserver.errors import QMPError

_MOST_DIGESTED: Final = 1 << 33
"""Bits of which a digest is made: of more it would take minutes."""


async def block_dirty_bitmap_add(
    daemon: Daemon,
    *,
    node: str,
    name: str,
    granularity: int | None = None,
    persistent: bool = False,
    disabled: bool = False,
) -> None:
    """Add a bitmap to a node."""
    async with daemon.graph.lock:
        action = bitmap_actions.add(
            daemon, node=node, name=name, granularity=granularity, persistent=persistent, disabled=disabled
        )
        await transaction.run([action])


async def block_dirty_bitmap_remove(daemon: Daemon, *, node: str, name: str) -> None:
    """Remove a bitmap from its node, and from the image."""
    async with daemon.graph.lock:
        action = bitmap_actions.remove(daemon, node=node, name=name)
        await run_drained([daemon.graph.find(node)], lambda: transaction.run([action]))


async def block_dirty_bitmap_clear(daemon: Daemon, *, node: str, name: str) -> None:
    """Unmark everything in a bitmap."""
    async with daemon.graph.lock:
        await transaction.run([bitmap_actions.clear(daemon, node=node, name=name)])


async def block_dirty_bitmap_enable(daemon: Daemon, *, node: str, name: str) -> None:
    """Let a bitmap record writes."""
    async with daemon.graph.lock:
        await transaction.run([bitmap_actions.enable(daemon, node=node, name=name)])


async def block_dirty_bitmap_disable(daemon: Daemon, *, node: str, name: str) -> None:
    """Let a bitmap no longer record writes."""
    async with daemon.graph.lock:
        await transaction.run([bitmap_actions.disable(daemon, node=node, name=name)])


async def block_dirty_bitmap_merge(
    daemon: Daemon, *, node: str, target: str, bitmaps: list[str | Mapping[str, Any]]
) -> None:
    """Mark in one bitmap what others have marked."""
    async with daemon.graph.lock:
        await transaction.run([bitmap_actions.merge(daemon, node=node, target=target, bitmaps=bitmaps)])


async def x_debug_block_dirty_bitmap_sha256(daemon: Daemon, *, node: str, name: str) -> dict[str, Any]:
    """Return a digest of a bitmap's bits."""
    _, bitmap = find(daemon.graph, node, name)
    if bitmap.bits.length > _MOST_DIGESTED:
        raise QMPError(f"Bitmap '{name}' is too large for a digest")
    return {"sha256": await threads.run(bitmap.sha256)}
