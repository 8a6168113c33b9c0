"""Give a user (a job, an export, a device) a handle of its own on a root node."""

import errno
import os
from collections.abc import Coroutine
from typing import Any

from qmpserver.block import at_once
from qmpserver.block.graph import NOTHING, Graph
from qmpserver.block.node import Edge, Node
from qmpserver.block.permissions import permission_words
from qmpserver.driver_api.permissions import Permission, PermissionSet
from qmpserver.errors import QMPError
from qmpserver.file_range import FileRange


class BlockBackend:
    """A user's handle on a node; QEMU's BlockBackend.

    Args:
        graph: The graph the node is in.
        name: What the user is called in a refusal; empty for one without a name.
        allows_inactive: The node may be inactive, though the user writes while it is active.
    """

    def __init__(self, graph: Graph, name: str = "", *, allows_inactive: bool = False) -> None:
        self._graph = graph
        self.name = name
        self.root: Edge | None = None
        self._allows_inactive = allows_inactive
        self._held = NOTHING

    def describe(self) -> str:
        """Name the user in a refusal."""
        return f"block device '{self.name}'" if self.name else "an unnamed block device"

    @property
    def node(self) -> Node:
        """The node it leads to.  It must have been inserted."""
        assert self.root is not None
        return self.root.node

    @property
    def held(self) -> PermissionSet:
        """What is held, now or once the node is active."""
        return self._held

    async def insert(self, node: Node, held: PermissionSet) -> None:
        """Become a user of `node`.

        Raises:
            NodeInUse: Another user does not agree; nothing has changed.
            QMPError: The node cannot be used so; nothing has changed.
        """
        self._held = held
        is_at_rest = self._allows_inactive and not node.is_active
        changing = held.used & _CHANGING
        if changing and not node.is_active and not is_at_rest:
            raise QMPError(f"Permission '{permission_words(changing)}' unavailable on inactive node")
        edge = self._graph.attach(self, "root", node, held=NOTHING if is_at_rest else held)
        try:
            await self._graph.refresh(node)
        except BaseException:
            self._graph.detach(edge)
            raise
        self.root = edge

    async def hold(self, held: PermissionSet) -> None:
        """Hold other permissions, now or once the node is active.

        Raises:
            NodeInUse: Another user does not agree; nothing has changed.
            QMPError: The node cannot be used so; nothing has changed.
        """
        if self.root is None or (self._allows_inactive and not self.root.node.is_active):
            self._held = held
            return
        before = self.root.permissions
        self.root.permissions = held
        try:
            await self._graph.refresh(self.root.node)
        except BaseException:
            self.root.permissions = before
            raise
        self._held = held

    async def replace(self, node: Node) -> None:
        """Use another node in the place of the one there is, and hold of it what was held.  The graph is locked.

        Raises:
            NodeInUse: Another user does not agree; nothing has changed.
            QMPError: The node cannot be used so; nothing has changed.
        """
        assert self.root is not None
        root, old = self.root, self.root.node
        async with old.drained(), node.drained():
            self._graph.lead(root, node)
            try:
                await self._graph.refresh(old, node)
            except BaseException:
                self._graph.lead(root, old)
                await self._graph.loosen(old, node)
                raise
        await self._graph.discard(old)

    @property
    def permits_inactive(self) -> bool:
        """Whether the node may become inactive: the user only reads, or allows it."""
        return self._allows_inactive or not self._held.used & _WRITING

    def rest(self) -> None:
        """Hold no permissions: the node has become inactive.  The caller refreshes them."""
        assert self.root is not None
        self.root.permissions = NOTHING

    def resume(self) -> None:
        """Hold permissions again: the node is about to be active.  The caller refreshes them."""
        assert self.root is not None
        self.root.permissions = self._held

    async def remove(self) -> None:
        """Stop using the node, and close it if nobody else does."""
        if self.root is not None:
            edge, self.root = self.root, None
            self._graph.detach(edge)
            await self._graph.collect(edge.node)

    # As with an edge, the requests hand on the node's own coroutine.

    def pread(self, offset: int, into: memoryview, flags: int = 0) -> Coroutine[Any, Any, None]:
        """Fill `into`; EIO, at once, past the end of the node."""
        return self._checked(offset, len(into)).pread(offset, into, flags)

    def pwrite(self, offset: int, data: memoryview, flags: int = 0) -> Coroutine[Any, Any, None]:
        """Store `data`; EIO, at once, past the end of the node."""
        return self._checked(offset, len(data)).pwrite(offset, data, flags)

    def pread_at_once(self, offset: int, into: memoryview) -> bool:
        """Fill `into` if that takes no waiting, and say whether it is filled; if not, call :meth:`pread`."""
        root = self.root
        assert root is not None
        node = root.node
        return 0 <= offset <= node.size - len(into) and at_once.read(node, offset, into)

    def find_in_memory(self, offset: int, length: int) -> list[FileRange]:
        """Return where the parts of a range lie in a file of the host; see :func:`at_once.find`."""
        root = self.root
        assert root is not None
        node = root.node
        return at_once.find(node, offset, length) if 0 <= offset <= node.size - length else []

    def pwrite_at_once(self, offset: int, data: memoryview) -> bool:
        """Store `data` if that takes no waiting, and say whether it is stored; if not, call :meth:`pwrite`."""
        root = self.root
        assert root is not None
        node = root.node
        return 0 <= offset <= node.size - len(data) and at_once.write(node, offset, data)

    def pwrite_zeroes(self, offset: int, length: int, flags: int = 0) -> Coroutine[Any, Any, None]:
        """Make the range read as zeroes; EIO, at once, past the end of the node."""
        return self._checked(offset, length).pwrite_zeroes(offset, length, flags)

    def pdiscard(self, offset: int, length: int) -> Coroutine[Any, Any, None]:
        """Say that the range is of no interest; EIO, at once, past the end of the node."""
        return self._checked(offset, length).pdiscard(offset, length)

    def flush(self) -> Coroutine[Any, Any, None]:
        """Bring everything written so far to stable storage."""
        return self.node.flush()

    def ioctl(self, request: int, argument: bytearray | int) -> Coroutine[Any, Any, int]:
        """Have the device of the host that it leads to carry out a request of its own."""
        return self.node.ioctl(request, argument)

    def _checked(self, offset: int, length: int) -> Edge:
        root = self.root
        assert root is not None
        if offset < 0 or offset + length > root.size:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return root


_WRITING = Permission.WRITE | Permission.WRITE_UNCHANGED
_CHANGING = _WRITING | Permission.RESIZE
