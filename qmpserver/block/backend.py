"""Give a user (a job, an export, a device) a handle of its own on a root node."""

import errno
import os

from qmpserver.block.graph import Graph
from qmpserver.block.node import Edge, Node
from qmpserver.driver_api.permissions import PermissionSet


class BlockBackend:
    """A user's handle on a node; QEMU's BlockBackend.

    Args:
        graph: The graph the node is in.
        name: What the user is called in a refusal; empty for one without a name.
    """

    def __init__(self, graph: Graph, name: str = "") -> None:
        self._graph = graph
        self.name = name
        self.root: Edge | None = None

    def describe(self) -> str:
        """Name the user in a refusal."""
        return f"block device '{self.name}'" if self.name else "an unnamed block device"

    @property
    def node(self) -> Node:
        """The node it leads to.  It must have been inserted."""
        assert self.root is not None
        return self.root.node

    async def insert(self, node: Node, held: PermissionSet) -> None:
        """Become a user of `node`.

        Raises:
            NodeInUse: Another user does not agree; nothing has changed.
            QMPError: The node cannot be used so; nothing has changed.
        """
        edge = self._graph.attach(self, "root", node, held=held)
        try:
            await self._graph.refresh(node)
        except BaseException:
            self._graph.detach(edge)
            raise
        self.root = edge

    async def remove(self) -> None:
        """Stop using the node, and close it if nobody else does."""
        if self.root is not None:
            edge, self.root = self.root, None
            self._graph.detach(edge)
            await self._graph.collect(edge.node)

    async def pread(self, offset: int, into: memoryview, flags: int = 0) -> None:
        """Fill `into`; EIO past the end of the node."""
        root = self._checked(offset, len(into))
        await root.pread(offset, into, flags)

    async def pwrite(self, offset: int, data: memoryview, flags: int = 0) -> None:
        """Store `data`; EIO past the end of the node."""
        root = self._checked(offset, len(data))
        await root.pwrite(offset, data, flags)

    async def pwrite_zeroes(self, offset: int, length: int, flags: int = 0) -> None:
        """Make the range read as zeroes; EIO past the end of the node."""
        root = self._checked(offset, length)
        await root.pwrite_zeroes(offset, length, flags)

    async def pdiscard(self, offset: int, length: int) -> None:
        """Say that the range is of no interest; EIO past the end of the node."""
        root = self._checked(offset, length)
        await root.pdiscard(offset, length)

    async def flush(self) -> None:
        """Bring everything written so far to stable storage."""
        await self.node.flush()

    def _checked(self, offset: int, length: int) -> Edge:
        root = self.root
        assert root is not None
        if offset < 0 or offset + length > root.size:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return root
