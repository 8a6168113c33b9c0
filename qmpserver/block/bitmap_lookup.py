"""Find dirty bitmaps by name."""

from qmpserver.block.dirty_bitmap import DirtyBitmap
from qmpserver.block.graph import Graph
from qmpserver.block.node import Node
from qmpserver.errors import QMPError


def on_node(node: Node, name: str) -> DirtyBitmap | None:
    """Return the node's bitmap called `name`, or None."""
    return next((bitmap for bitmap in node.dirty_bitmaps if bitmap.name == name), None)


def find(graph: Graph, node_name: str, name: str) -> tuple[Node, DirtyBitmap]:
    """Return a node and its bitmap called `name`.

    Raises:
        QMPError: There is no such node, or no such bitmap.
    """
    node = graph.get(node_name)
    if node is None:
        raise QMPError(f"Node '{node_name}' not found", code="not-found", node=node_name)
    bitmap = on_node(node, name)
    if bitmap is None:
        raise QMPError(f"Dirty bitmap '{name}' not found", code="not-found", node=node_name)
    return node, bitmap
