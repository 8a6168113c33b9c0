"""Open and close nodes."""

from typing import Any

from qmpserver.block import activation, reopening
from qmpserver.block.node import Node
from qmpserver.block.reopen_options import flatten
from qmpserver.block.reopen_queue import ReopenQueue
from qmpserver.daemon import Daemon
from qmpserver.errors import QMPError
from qmpserver.monitor.commands import Client


async def blockdev_add(daemon: Daemon, *, client: Client, options: dict[str, Any]) -> None:
    """Open a node with everything below it."""
    await daemon.blockdev_add(options, client.fds.claim)


async def blockdev_reopen(daemon: Daemon, *, options: list[dict[str, Any]]) -> None:
    """Give nodes other options and children, all of them or none."""
    async with daemon.graph.lock:
        queue = ReopenQueue()
        for wanted in options:
            if "node-name" not in wanted:
                raise QMPError("node-name not specified")
            queue.add(_find(daemon, wanted["node-name"]), flatten(wanted))
        await reopening.reopen(daemon.graph, queue)


async def blockdev_set_active(daemon: Daemon, *, active: bool, node_name: str | None = None) -> None:
    """Take up the use of a node, or of all, or leave it to another process."""
    async with daemon.graph.lock:
        node = _find(daemon, node_name) if node_name is not None else None
        if active:
            await activation.activate(daemon.graph, *([node] if node is not None else daemon.graph))
        elif node is not None:
            await activation.inactivate(daemon.graph, node)
        else:
            await activation.inactivate_all(daemon.graph)


def _find(daemon: Daemon, node_name: str) -> Node:
    node = daemon.graph.get(node_name)
    if node is None:
        raise QMPError(f"Failed to find node with node-name='{node_name}'")
    return node


async def blockdev_del(daemon: Daemon, *, node_name: str) -> None:
    """Close a node that a client added."""
    await daemon.blockdev_del(node_name)
