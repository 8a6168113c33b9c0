"""Lead the `file` and `backing` children of a node that is reopened elsewhere."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from qmpserver.block import chain, inheritance
from qmpserver.block.graph import Graph, check_active
from qmpserver.block.node import Edge, Node
from qmpserver.block.reopen_queue import Reopening
from qmpserver.driver_api.permissions import ChildRole
from qmpserver.errors import NodeInUse, QMPError


@dataclass(slots=True, eq=False)
class ChildChange:
    """One child, and the node that is to take its place.

    Attributes:
        parent: Whose child it is.
        name: `file` or `backing`.
        old: The child as it was, or None.
        new: The child as it is to be, or None.
        heirs: Nodes that inherit from somebody else since the change was made, and from whom they did.
    """

    parent: Node
    name: str
    old: Node | None
    new: Node | None
    heirs: dict[Node, Node | None] = field(default_factory=dict)

    def apply(self, graph: Graph) -> None:
        """Make the change, without a look at permissions."""
        new, edge = self.new, self.parent.children.get(self.name)
        adopts = new is not None and inheritance.descends_from(new, self.parent)
        if edge is not None:
            self.heirs |= dict.fromkeys(inheritance.disown(self.parent, edge), self.parent)
        if new is not None and adopts:
            self.heirs.setdefault(new, new.inherits_from)
            new.inherits_from = self.parent
        _lead(graph, self.parent, self.name, new)

    def undo(self, graph: Graph) -> None:
        """Make the change undone."""
        _lead(graph, self.parent, self.name, self.old)
        for node, ancestor in self.heirs.items():
            node.inherits_from = ancestor


def changes(graph: Graph, entry: Reopening) -> Iterator[ChildChange]:
    """Find out which children are to change.

    Raises:
        QMPError: Another node cannot take the place; with QEMU's text.
    """
    node = entry.node
    if node.driver.supports_backing and entry.lacks_backing and (node.backing or node.backing_filename):
        raise QMPError(f"backing is missing for '{node.node_name}'")
    for name in ("backing", "file"):
        wanted = entry.given.get(name, "")
        if name not in entry.given or not isinstance(wanted, str | None):
            continue
        change = _change(graph, node, name, wanted)
        if change is not None:
            yield change


def _change(graph: Graph, node: Node, name: str, wanted: str | None) -> ChildChange | None:
    edge = node.children.get(name)
    old = edge.node if edge is not None else None
    new = _find(graph, node, name, wanted) if wanted is not None else None
    if new is old or _is_meant(old, new):
        return None
    if edge is not None and edge.node.is_implicit:
        raise QMPError(f"Cannot replace implicit {name} child of {node.node_name}")
    if edge is None and (name == "file" or not node.driver.supports_backing):
        kind = "filter node" if node.driver.is_filter else "node"
        raise QMPError(
            f"'{node.node_name}' is a {node.driver.format_name} {kind} that does not support a {name} child"
        )
    if edge is not None:
        _check_not_frozen(edge)
    return ChildChange(node, name, old, new)


def _find(graph: Graph, node: Node, name: str, wanted: str) -> Node:
    new = graph.get(wanted)
    if new is None:
        raise QMPError(f"Cannot find device='' nor node-name='{wanted}'")
    graph.check_acyclic(node, name, new)
    check_active(node, name, new)
    return new


def _is_meant(old: Node | None, new: Node | None) -> bool:
    """Say whether a child is named whose place a filter has taken that nobody asked for."""
    return old is not None and new is not None and chain.skip_implicit(old) is new


def _check_not_frozen(edge: Edge) -> None:
    if edge.is_frozen:
        raise NodeInUse(
            f"Cannot change frozen '{edge.name}' link from '{edge.parent.name}' to '{edge.node.node_name}'"
        )


def _lead(graph: Graph, parent: Node, name: str, node: Node | None) -> None:
    edge = parent.children.get(name)
    if edge is None:
        assert node is not None
        graph.attach(parent, name, node, ChildRole.COW)
    elif node is None:
        graph.detach(edge)
    else:
        graph.lead(edge, node)
