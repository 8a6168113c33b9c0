"""Follow which node was opened for which, and so takes over its options when that is reopened."""

from qmpserver.block.node import Edge, Node
from qmpserver.block.permissions import topological


def descends_from(node: Node, ancestor: Node) -> bool:
    """Say whether `node` was opened for `ancestor`, or for a node that was, and so on."""
    parent = node.inherits_from
    while parent is not None and parent is not ancestor:
        parent = parent.inherits_from
    return parent is not None


def disown(parent: Node, edge: Edge) -> list[Node]:
    """Let everything below a child that is about to go no longer take over what `parent` says.

    Returns:
        The nodes that did.
    """
    others = {other.node for other in parent.children.values() if other is not edge}
    heirs = [
        node for node in topological((edge.node,)) if node.inherits_from is parent and node not in others
    ]
    for node in heirs:
        node.inherits_from = None
    return heirs
