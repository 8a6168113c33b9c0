"""Give a node another child, or take one away, while it is open."""

from functools import partial

from qmpserver.block.draining import run_drained
from qmpserver.block.graph import Graph
from qmpserver.block.node import Edge, Node
from qmpserver.driver_api.extras import SupportsChildChange
from qmpserver.errors import NodeInUse, QMPError


async def add(graph: Graph, parent: Node, node_name: str) -> None:
    """Make a node that nobody uses a child.  The graph is locked.

    Raises:
        QMPError: The driver or the node does not allow it; nothing has changed.
    """
    child = graph.get(node_name)
    if child is None:
        raise QMPError(f"Node '{node_name}' not found")
    driver = parent.driver
    if not isinstance(driver, SupportsChildChange):
        raise QMPError(f"The node {parent.node_name} does not support adding a child")
    if child.parents:
        raise NodeInUse(f"The node {node_name} already has a parent")
    await run_drained((parent,), partial(_add, graph, parent, driver, child))


async def _add(graph: Graph, parent: Node, driver: SupportsChildChange, child: Node) -> None:
    spec = driver.next_child()
    graph.check_acyclic(parent, spec.name, child)
    edge = graph.attach(parent, spec.name, child, spec.role)
    try:
        await graph.refresh(parent)
        driver.child_added(spec.name, edge)
    except BaseException:
        graph.detach(edge)
        await graph.loosen(parent, child)
        raise


async def remove(graph: Graph, parent: Node, name: str) -> None:
    """Take a child away, and close it if nobody else uses it.  The graph is locked.

    Raises:
        QMPError: There is no such child, or the driver cannot do without; nothing has changed.
    """
    edge = parent.children.get(name)
    if edge is None:
        raise QMPError(f"Node '{parent.node_name}' does not have child '{name}'")
    driver = parent.driver
    if not isinstance(driver, SupportsChildChange):
        raise QMPError(f"The node {parent.node_name} does not support removing a child")
    driver.check_removable(name)
    await run_drained((parent,), partial(_remove, graph, parent, driver, edge))
    await graph.discard(edge.node)


async def _remove(graph: Graph, parent: Node, driver: SupportsChildChange, edge: Edge) -> None:
    graph.detach(edge)
    driver.child_removed(edge.name)
    await graph.loosen(parent, edge.node)
