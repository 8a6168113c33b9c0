"""Put a job's filter over a node, hold the chain below it as it is, and take it out again."""

from typing import Any

from qmpserver.block import chain
from qmpserver.block.graph import Graph
from qmpserver.block.node import Edge, Node
from qmpserver.block.opener import Opener


class JobFilter:
    """The filter that one job has put over a node.

    Args:
        graph: The graph; whoever calls anything here holds its lock.
        owner: The job.  Its own links to the filter stay when the filter is taken out.
        below: What the filter is put over.
    """

    def __init__(self, graph: Graph, owner: object, below: Node) -> None:
        self._graph = graph
        self._owner = owner
        self._below = below
        self._node: Node | None = None
        self._frozen: list[Edge] = []

    @property
    def node(self) -> Node:
        """The filter, which has been put in."""
        assert self._node is not None
        return self._node

    @property
    def is_in(self) -> bool:
        """Whether it was put in at all."""
        return self._node is not None

    @property
    def users(self) -> list[Edge]:
        """The links to it, but for its owner's."""
        return [] if self._node is None else [e for e in self._node.parents if e.parent is not self._owner]

    async def insert(self, opener: Opener, options: dict[str, Any], node_name: str | None) -> None:
        """Put it in; without a name it is one that nobody asked for, and mostly stays unseen.

        Raises:
            QMPError: It cannot be; nothing has changed.
        """
        if node_name is not None:
            options = {**options, "node-name": node_name}
        self._node = await opener.insert_filter(options, self._below)
        self._node.is_implicit = node_name is None

    def freeze_down_to(self, bottom: Node) -> None:
        """Hold every link from the filter down to `bottom` as it is."""
        for node in chain.nodes(self.node):
            if node is bottom:
                break
            edge = node.children.get(node.driver.filtered_child if node.driver.is_filter else "backing")
            if edge is not None:
                edge.is_frozen = True
                self._frozen.append(edge)

    def thaw(self) -> None:
        """Let the links go."""
        for edge in self._frozen:
            edge.is_frozen = False
        self._frozen.clear()

    async def remove(self) -> None:
        """Lead its users back to what is below it; the filter itself goes when its owner lets go."""
        self.thaw()
        if self._node is None:
            return
        for edge in self.users:
            self._graph.lead(edge, self._below)
        await self._graph.loosen(self._node, self._below)
