"""Take up the use of nodes, or leave their images to another process.

An inactive node neither writes nor keeps others from writing.  What its driver knows of the image may be
wrong by the time it is activated, so the image is opened anew then.
"""

from collections.abc import Iterator
from functools import partial

from qmpserver.block import bitmap_store, permissions
from qmpserver.block.backend import BlockBackend
from qmpserver.block.draining import run_drained
from qmpserver.block.graph import Graph
from qmpserver.block.node import Node
from qmpserver.driver_api.extras import SupportsRereading
from qmpserver.driver_api.permissions import ChildRole
from qmpserver.errors import NodeInUse, QMPError, error_text


async def activate(graph: Graph, *roots: Node) -> None:
    """Use `roots`, and all below them, again.  The graph is locked.

    Raises:
        QMPError: An image cannot be had, or another user or process does not allow it; what is below that
            is active already.
    """
    for node in reversed(permissions.topological(roots)):
        if not node.is_active:
            await run_drained((node,), partial(_activate, graph, node))


async def inactivate(graph: Graph, node: Node) -> None:
    """Leave `node`, and what is below it and nobody else uses, to another process.  The graph is locked.

    Raises:
        NodeInUse: Somebody uses it.
        QMPError: An image could not be written back; it is active still.
    """
    if any(isinstance(edge.parent, Node) and edge.parent.is_active for edge in node.parents):
        raise NodeInUse("Node has active parent node")
    if _is_used(node):
        raise NodeInUse("Failed to inactivate node: Operation not permitted")
    for below in permissions.topological((node,)):
        if below.is_active and not _is_used(below):
            await run_drained((below,), partial(_inactivate, graph, below))


async def inactivate_all(graph: Graph) -> None:
    """Leave every node to another process.  The graph is locked.

    Raises:
        QMPError: Somebody uses one, or an image could not be written back; some may be inactive.
    """
    for node in permissions.topological(graph):
        if not node.is_active:
            continue
        if _is_used(node):
            raise NodeInUse("Failed to inactivate all nodes: Operation not permitted")
        await run_drained((node,), partial(_inactivate, graph, node))


def _is_used(node: Node) -> bool:
    """Say whether an active node is above, or a user that is no node and does not allow the node to be inactive."""
    for edge in node.parents:
        if isinstance(edge.parent, Node):
            if edge.parent.is_active:
                return True
        elif not (isinstance(edge.parent, BlockBackend) and edge.parent.permits_inactive):
            return True
    return False


def _backends(node: Node) -> Iterator[BlockBackend]:
    """Go through the users that are no nodes and allow it to be inactive."""
    return (edge.parent for edge in node.parents if isinstance(edge.parent, BlockBackend))


async def _activate(graph: Graph, node: Node) -> None:
    node.flags.active = True
    try:
        for backend in _backends(node):
            backend.resume()
        await graph.refresh(node)
        for below in [edge.node.driver for edge in node.children.values()]:
            # It may have been active all the time, and written by another process all the same.
            if isinstance(below, SupportsRereading):
                await below.reread()
        await _read_anew(node)
    except BaseException as error:
        node.flags.active = False
        for backend in _backends(node):
            backend.rest()
        await graph.loosen(node)
        if isinstance(error, OSError):
            raise QMPError(f"Could not activate '{node.node_name}': {error_text(error)}") from error
        raise


async def _read_anew(node: Node) -> None:
    if isinstance(node.driver, SupportsRereading):
        await node.driver.reread()
    elif _keeps_structures(node):
        old = node.driver
        await node.open_driver_anew()
        # It has nothing to write back: it was shut down when the node became inactive.
        await old.close()
        # One of that name that has come from another process is newer than what its image says of it.
        held = {bitmap.name for bitmap in node.dirty_bitmaps}
        loaded = await bitmap_store.load(node.driver, read_only=node.read_only)
        node.dirty_bitmaps += [bitmap for bitmap in loaded if bitmap.name not in held]


async def _inactivate(graph: Graph, node: Node) -> None:
    try:
        await node.flush()
        await bitmap_store.store(node)
        node.flags.active = False
        if _keeps_structures(node):
            await node.driver.close()
            await node.open_driver_anew()
        bitmap_store.forget(node)
        for backend in _backends(node):
            backend.rest()
    except OSError as error:
        node.flags.active = True
        raise QMPError(f"Could not inactivate '{node.node_name}': {error_text(error)}") from error
    await graph.loosen(node)


def _keeps_structures(node: Node) -> bool:
    """Say whether the driver knows an image's structures by heart."""
    return any(edge.role & ChildRole.METADATA for edge in node.children.values())
