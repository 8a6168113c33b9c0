"""Show the graph."""

from typing import Any

from qmpserver.block import info
from qmpserver.daemon import Daemon


def x_debug_query_block_graph(daemon: Daemon) -> dict[str, Any]:
    """Show all nodes, their users, and the permissions on every edge."""
    return info.block_graph(daemon.graph)
