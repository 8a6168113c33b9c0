"""What a node is told when a test opens it."""

from tests.contract.engine import Context


class NodeContext(Context):
    """The engine as a node sees it, with a chain below.

    Attributes:
        chain: The names of the nodes below, `file` among them.
        others: The names of the nodes that are elsewhere.
    """

    chain: tuple[str, ...] = ("file",)
    others: tuple[str, ...] = ()

    def is_in_chain(self, child: str, node_name: str) -> bool | None:
        if node_name in self.chain:
            return True
        return False if node_name in self.others else None
