"""Find dirty bitmaps by name, and refuse those that may not be used."""

from qmpserver.block.dirty_bitmap import DirtyBitmap
from qmpserver.block.graph import Graph
from qmpserver.block.node import Node
from qmpserver.errors import NodeInUse, QMPError


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


def check_idle(bitmap: DirtyBitmap) -> None:
    """Refuse a bitmap that a job or an export uses.

    Raises:
        NodeInUse: With QEMU's text.
    """
    if bitmap.is_busy:
        raise NodeInUse(f"Bitmap '{bitmap.name}' is currently in use by another operation and cannot be used")


def check_readable(bitmap: DirtyBitmap) -> None:
    """Refuse a bitmap whose content is not there to be used.

    Raises:
        QMPError: With QEMU's text.
    """
    check_idle(bitmap)
    if bitmap.is_inconsistent:
        raise QMPError(
            f"Bitmap '{bitmap.name}' is inconsistent and cannot be used\n"
            "Try block-dirty-bitmap-remove to delete this bitmap from disk"
        )


def check_writable(bitmap: DirtyBitmap) -> None:
    """Refuse a bitmap whose content may not be changed.

    Raises:
        QMPError: With QEMU's text.
    """
    check_idle(bitmap)
    if bitmap.is_read_only:
        raise QMPError(f"Bitmap '{bitmap.name}' is readonly and cannot be modified")
    check_readable(bitmap)
