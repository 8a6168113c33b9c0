"""Keep all nodes by name, and let edges between them come and go."""

import contextlib
import itertools
import os
import re
from collections.abc import Iterable, Iterator
from typing import Protocol

from qmpserver.block import bitmap_store, permissions
from qmpserver.block.device_names import DeviceNames, NoDevices
from qmpserver.block.hurrying import hurried
from qmpserver.block.node import Edge, Node, Parent
from qmpserver.block.view import NodeFlags
from qmpserver.driver_api.permissions import PERM_ALL, PERM_NONE, ChildRole, PermissionSet
from qmpserver.errors import NodeInUse, QMPError
from qmpserver.lock import Lock

MAX_NODE_NAME = 31
"""QEMU's node names fill a buffer of 32 bytes."""

_WELL_FORMED = re.compile(r"[A-Za-z][A-Za-z0-9\-._]*\Z")

NO_ROLE = ChildRole(0)
NOTHING = PermissionSet(PERM_NONE, PERM_ALL)
"""Holds no permission and forbids none."""


def is_well_formed(name: str) -> bool:
    """Say whether a client may give a node, job or other object this name."""
    return _WELL_FORMED.match(name) is not None


class Graph:
    """All nodes, and the edges between them and from their users.

    Attributes:
        lock: Held by whoever changes the graph, for as long as the change takes.
        devices: Those whose names stand for the nodes they use.
    """

    def __init__(self) -> None:
        self.devices: DeviceNames = NoDevices()
        self._nodes: dict[str, Node] = {}
        self._counter = itertools.count()
        self.lock = Lock()

    def __iter__(self) -> Iterator[Node]:
        """Go through the nodes in the order they were added."""
        return iter(tuple(self._nodes.values()))

    def get(self, name: str) -> Node | None:
        """Return the node called `name`, or None."""
        return self._nodes.get(name)

    def find(self, name: str) -> Node:
        """Return the node called `name`, or that the device called so uses.

        Raises:
            QMPError: There is none.
        """
        return self.find_either(name, name)

    def find_either(self, device: str | None, node_name: str | None) -> Node:
        """Return the node that a device uses, or else the one of a name.

        Raises:
            QMPError: There is none.
        """
        if device and device in self.devices:
            return self.devices.root_of(device)
        node = self._nodes.get(node_name) if node_name else None
        if node is None:
            raise QMPError(
                f"Cannot find device='{device or ''}' nor node-name='{node_name or ''}'",
                code="not-found",
                node=node_name or device or "",
            )
        return node

    def new_name(self) -> str:
        """Make a name for a node that was given none; a client cannot have used it."""
        while True:
            name = f"#block{next(self._counter)}{os.urandom(1)[0] % 100:02}"
            if name not in self._nodes:
                return name

    def check_new_name(self, name: str) -> None:
        """Refuse a name that is malformed or taken.

        Raises:
            QMPError: With QEMU's text.
        """
        if not is_well_formed(name):
            raise QMPError(f"Invalid node-name: '{name}'")
        if name in self.devices:
            raise QMPError(f"node-name={name} is conflicting with a device id", code="exists", node=name)
        if name in self._nodes:
            raise QMPError(f"Duplicate nodes with node-name='{name}'", code="exists", node=name)
        if len(name) > MAX_NODE_NAME:
            raise QMPError("Node name too long")

    def add(self, node: Node, *younger: Node) -> None:
        """Make a node known under its name, which is free, in the order before those that count as younger."""
        self._nodes[node.node_name] = node
        for other in younger:
            self._nodes[other.node_name] = self._nodes.pop(other.node_name)

    # Edges.  None of these checks permissions: change, then `refresh`, then undo if that refuses.

    def attach(
        self, parent: Parent, name: str, node: Node, role: ChildRole = NO_ROLE, held: PermissionSet = NOTHING
    ) -> Edge:
        """Make `parent` a user of `node`.

        Raises:
            QMPError: The node is inactive, and the parent is not.
        """
        if isinstance(parent, Node):
            check_active(parent, name, node)
        edge = Edge(name, parent, role, held, node)
        node.parents.append(edge)
        if isinstance(parent, Node):
            parent.children[name] = edge
        return edge

    def detach(self, edge: Edge) -> None:
        """End the use that `edge` stands for."""
        edge.node.parents.remove(edge)
        if isinstance(edge.parent, Node):
            del edge.parent.children[edge.name]

    def lead(self, edge: Edge, node: Node) -> None:
        """Make an existing edge lead to another node.

        Raises:
            NodeInUse: A job relies on where the edge leads.
            QMPError: The node is inactive, and the parent is not.
        """
        if isinstance(edge.parent, Node):
            check_active(edge.parent, edge.name, node)
        if edge.is_frozen:
            raise NodeInUse(
                f"Cannot change '{edge.name}' link from '{edge.parent.name}' to '{edge.node.node_name}'",
                node=edge.node.node_name,
                user=edge.parent.name,
            )
        edge.node.parents.remove(edge)
        edge.node = node
        node.parents.append(edge)
        if isinstance(edge.parent, Node):
            # QEMU: the link that changed last is the latest child.
            edge.parent.children[edge.name] = edge.parent.children.pop(edge.name)

    def check_acyclic(self, parent: Node, name: str, child: Node) -> None:
        """Refuse to make `child` a child of what it uses itself.

        Raises:
            QMPError: With QEMU's text.
        """
        if parent in permissions.topological((child,)):
            raise QMPError(
                f"Making '{child.node_name}' a {name} child of '{parent.node_name}' would create a cycle"
            )

    async def refresh(self, *roots: Node) -> None:
        """Bring permissions at and below `roots` up to date; see :func:`permissions.refresh`."""
        await permissions.refresh(roots)

    async def loosen(self, *roots: Node) -> None:
        """Bring permissions up to date where a user has gone, which nobody can object to.

        A file may fail to go back to reading (its name has gone, say): it stays open as it is.
        """
        for node in roots:
            with contextlib.suppress(QMPError):
                await self.refresh(node)

    async def collect(self, *roots: Node) -> None:
        """Close every node at or below `roots` that nobody uses any more.

        Raises:
            OSError: An image could not be written back in full; all are closed all the same.
        """
        with hurried(roots):
            await self._collect(roots)

    async def _collect(self, roots: Iterable[Node]) -> None:
        error: BaseException | None = None
        remaining: list[Node] = []
        pending = list(roots)
        while pending:
            node = pending.pop()
            if node.node_name not in self._nodes:
                continue
            if node.parents or node.is_monitor_owned:
                remaining.append(node)
                continue
            try:
                await self._close(node)
            except BaseException as caught:  # noqa: BLE001 - raised again when all are closed
                error = error or caught
            if node.node_name in self._nodes:
                # Called off before it was at rest.
                continue
            for edge in list(node.children.values()):
                self.detach(edge)
                pending.append(edge.node)
        await self.loosen(*(node for node in remaining if node.node_name in self._nodes))
        if error is not None:
            raise error

    async def discard(self, *roots: Node) -> None:
        """Close what an attempt has opened that failed; why it failed is what the caller is to hear."""
        with contextlib.suppress(OSError):
            await self.collect(*roots)

    async def _close(self, node: Node) -> None:
        async with node.drained():
            # Forgotten first: nobody can find a node that is being closed.
            del self._nodes[node.node_name]
            try:
                await bitmap_store.store(node)
            finally:
                await node.driver.close()


class NodeLike(Protocol):
    """A node, or one in the making."""

    node_name: str
    flags: NodeFlags


def check_active(parent: NodeLike, name: str, node: Node) -> None:
    """Refuse to let an active node use an inactive one.

    Raises:
        QMPError: With QEMU's text.
    """
    if not node.is_active and parent.flags.active:
        raise QMPError(f"Inactive '{node.node_name}' can't be a {name} child of active '{parent.node_name}'")


def check_no_overlay(node: Node) -> None:
    """Refuse an operation on a node that another one is an overlay of.

    Raises:
        NodeInUse: With QEMU's text.
    """
    for edge in reversed(node.parents):
        if edge.name == "backing":
            raise NodeInUse(
                f"Node '{node.device_or_node_name}' is busy: node is used as backing hd of '{edge.parent.name}'",
                node=node.node_name,
                user=edge.parent.name,
            )


def check_not_busy(node: Node) -> None:
    """Refuse an operation on a node that a job or another user has reserved.

    Raises:
        NodeInUse: With QEMU's text and the reason.
    """
    if node.busy_reasons:
        raise NodeInUse(
            f"Node '{node.device_or_node_name}' is busy: {node.busy_reasons[-1]}", node=node.node_name
        )
