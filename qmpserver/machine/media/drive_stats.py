"""Shape what ``query-blockstats`` shows of drives."""

from collections.abc import Iterable
from typing import Any

from qmpserver.block import chain, info
from qmpserver.block.node import Node
from qmpserver.machine.media.drive import Drive
from qmpserver.machine.media.drive_info import is_shown


def blockstats(drives: Iterable[Drive]) -> list[dict[str, Any]]:
    """Shape drives as a list of ``BlockStats``."""
    return [_drive_stats(drive) for drive in drives if is_shown(drive)]


def _drive_stats(drive: Drive) -> dict[str, Any]:
    medium = drive.medium
    stats = chain_stats(medium) if medium is not None else {"stats": {}}
    highest = stats["stats"].get("wr_highest_offset", 0)
    stats["device"] = drive.name
    if drive.user is not None:
        stats["qdev"] = drive.qdev_path
    stats["stats"] = {
        **drive.statistics.to_wire(drive.around.clock.monotonic_ns()),
        "wr_highest_offset": highest,
    }
    return stats


def chain_stats(top: Node) -> dict[str, Any]:
    """Shape a node as ``BlockStats``, with the nodes of its backing chain below it.

    QEMU: what a filter presents is its parent and its backing node as well, and so is told twice; here not below more
    than a few filters, since each of them doubles the answer.
    """
    # From below, so that the chain's length is not bounded by the stack.
    nodes = list(chain.nodes(top))
    below = info.node_stats(nodes.pop())
    filters = 0
    for node in reversed(nodes):
        stats = info.own_stats(node)
        if node.filtered is None:
            storage = info.storage_of(node)
            if storage is not None:
                stats["parent"] = info.node_stats(storage)
            stats["backing"] = below
        else:
            filters += 1
            stats["parent"] = below
            if filters <= _TOLD_TWICE:
                stats["backing"] = below
        below = stats
    return below


_TOLD_TWICE = 4
"""Filters of a chain, from below, whose nodes are told twice."""
