"""Put a node in another's place: whoever used the one uses the other afterwards."""

from collections.abc import Iterable

from qmpserver.block.graph import Graph
from qmpserver.block.node import Edge, Node


def can_replace(source: Node, node: Node) -> bool:
    """Say whether a copy of `source` can take the place of `node`, and nobody sees other data by that.

    It can where `node` shows just what `source` shows, or is one of several that `source` is made of.
    """
    while source is not node:
        if source.driver.outlives_any_child:
            return any(edge.node is node for edge in source.children.values())
        filtered = source.filtered
        if filtered is None:
            return False
        source = filtered
    return True


async def lead_to(graph: Graph, edges: Iterable[Edge], node: Node) -> None:
    """Lead links to `node`, all of them or none.  The graph is locked.

    Raises:
        QMPError: A job relies on where a link leads, or the users do not agree; nothing has changed.
    """
    moved: list[tuple[Edge, Node]] = []
    try:
        for edge in edges:
            old = edge.node
            graph.lead(edge, node)
            moved.append((edge, old))
        await graph.refresh(node, *(old for _, old in moved))
    except BaseException:
        for edge, old in reversed(moved):
            graph.lead(edge, old)
        await graph.loosen(node, *(old for _, old in moved))
        raise
