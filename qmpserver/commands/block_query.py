"""Show nodes, devices and what is counted of them."""

from typing import Any

from qmpserver.block import info
from qmpserver.daemon import Daemon


async def query_named_block_nodes(daemon: Daemon, *, flat: bool = False) -> list[dict[str, Any]]:
    """Show every node, newest first."""
    sizes = await info.allocated_sizes(daemon.graph)
    shown = info.Shown()
    return [
        info.block_device_info(node, sizes, flat=flat, shown=shown) for node in reversed(list(daemon.graph))
    ]


async def query_block(daemon: Daemon, *, flat: bool = False) -> list[dict[str, Any]]:
    """Show every device."""
    return await daemon.block_info(flat=flat)


def query_blockstats(daemon: Daemon, *, query_nodes: bool = False) -> list[dict[str, Any]]:
    """Show what is counted per node or per device, oldest first."""
    return [info.node_stats(node) for node in daemon.graph] if query_nodes else daemon.blockstats()
