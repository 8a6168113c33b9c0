"""Show the graph."""

from typing import Any

from qmpserver.block import child_change, info
from qmpserver.daemon import Daemon
from qmpserver.errors import QMPError


async def x_blockdev_change(
    daemon: Daemon, *, parent: str, child: str | None = None, node: str | None = None
) -> None:
    """Give a node another child, or take one away."""
    async with daemon.graph.lock:
        parent_node = daemon.graph.find(parent)
        if child is not None and node is not None:
            raise QMPError("The parameters child and node are in conflict")
        if child is not None:
            await child_change.remove(daemon.graph, parent_node, child)
        elif node is not None:
            await child_change.add(daemon.graph, parent_node, node)
        else:
            raise QMPError("Either child or node must be specified")


def x_debug_query_block_graph(daemon: Daemon) -> dict[str, Any]:
    """Show all nodes, their users, and the permissions on every edge."""
    return info.block_graph(daemon.graph)
