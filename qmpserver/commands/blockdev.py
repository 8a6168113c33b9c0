"""Open and close nodes."""

from typing import Any

from qmpserver.daemon import Daemon


async def blockdev_add(daemon: Daemon, *, options: dict[str, Any]) -> None:
    """Open a node with everything below it."""
    await daemon.blockdev_add(options)


async def blockdev_del(daemon: Daemon, *, node_name: str) -> None:
    """Close a node that a client added."""
    await daemon.blockdev_del(node_name)
