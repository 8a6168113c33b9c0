"""Show the graph, and change its edges."""

from typing import Any

from qmpserver.block import child_change, info
from qmpserver.block.backend import BlockBackend
from qmpserver.daemon import Daemon
from qmpserver.errors import NodeInUse, QMPError
from qmpserver.qom.iothread import IOThread


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


def x_blockdev_set_iothread(
    daemon: Daemon,
    *,
    node_name: str,
    iothread: str | None,
    force: bool = False,
) -> None:
    """Check the names: one loop serves all nodes."""
    node = daemon.graph.get(node_name)
    if node is None:
        raise QMPError(f"Failed to find node with node-name='{node_name}'", code="not-found", node=node_name)
    users = [edge.parent for edge in node.parents]
    if not force and any(isinstance(user, BlockBackend) for user in users):
        raise NodeInUse(
            f"Node {node_name} is associated with a BlockBackend and could be in use "
            "(use force=true to override this check)",
            node=node_name,
        )
    if iothread and not isinstance(daemon.objects.items().get(iothread), IOThread):
        raise QMPError(f"Cannot find iothread {iothread}")
    if iothread and any(user in daemon.graph.devices.users() for user in users):
        raise NodeInUse("Cannot change iothread of active block backend", node=node_name)


def x_debug_query_block_graph(daemon: Daemon) -> dict[str, Any]:
    """Show all nodes, their users, and the permissions on every edge."""
    return info.block_graph(daemon.graph)
