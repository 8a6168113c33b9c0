"""Find the dirty bitmaps that an export is to tell of."""

from collections.abc import Iterable, Mapping

from qmpserver.block import chain
from qmpserver.block.dirty_bitmap import DirtyBitmap
from qmpserver.block.graph import Graph
from qmpserver.block.node import Node
from qmpserver.errors import QMPError


def find_bitmaps(
    graph: Graph, node: Node, wanted: Iterable[str | Mapping[str, str]], *, writable: bool
) -> list[DirtyBitmap]:
    """Return bitmaps, of the exported node or of one in the chain below.

    Args:
        graph: Where the nodes are.
        node: The exported node.
        wanted: Their names, or nodes and names.
        writable: Clients may write.

    Raises:
        QMPError: There is none of a name, or it cannot be told of.
    """
    bitmaps = [_find(graph, node, one) for one in wanted]
    for bitmap in bitmaps:
        if bitmap.is_busy:
            raise QMPError(
                f"Bitmap '{bitmap.name}' is currently in use by another operation and cannot be used"
            )
        if bitmap.is_inconsistent:
            raise QMPError(f"Bitmap '{bitmap.name}' is inconsistent and cannot be used")
        # Somebody else may write to the node, and the bitmap would change while it is read.
        if bitmap.is_enabled and not writable and not node.read_only:
            raise QMPError(f"Enabled bitmap '{bitmap.name}' incompatible with readonly export")
    return bitmaps


def _find(graph: Graph, node: Node, wanted: str | Mapping[str, str]) -> DirtyBitmap:
    if isinstance(wanted, str):
        name, places = wanted, chain.nodes(node)
    else:
        holder = graph.get(wanted["node"])
        if holder is None:
            raise QMPError(f"Node '{wanted['node']}' not found", code="not-found", node=wanted["node"])
        name, places = wanted["name"], iter([holder])
    found = (bitmap for place in places for bitmap in place.dirty_bitmaps if bitmap.name == name)
    bitmap = next(found, None)
    if bitmap is None:
        raise QMPError(f"Bitmap '{name}' is not found", code="not-found", bitmap=name)
    return bitmap
