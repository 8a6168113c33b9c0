"""Say what every export is."""

from collections.abc import Callable
from typing import Any, ClassVar

from qmpserver.block.backend import BlockBackend
from qmpserver.block.graph import Graph
from qmpserver.block.node import Node
from qmpserver.driver_api.permissions import PERM_ALL, Permission, PermissionSet


class BlockExport:
    """A node offered to others.

    Args:
        export_id: What it is called.
        graph: The graph the node is in.
        writable: Clients may write.
        writethrough: What they write is on stable storage when they are told so.
        allows_inactive: The node may be inactive: it is read then, and writing fails.

    Attributes:
        is_shutting_down: It takes no more clients and ends when the last one has gone.
        on_end: Called when it begins to end.
        used: What it does with the node.
    """

    export_type: ClassVar[str]

    shared: ClassVar[Permission] = PERM_ALL
    """What other users of the node may do."""

    def __init__(
        self,
        export_id: str,
        graph: Graph,
        *,
        writable: bool,
        writethrough: bool = False,
        allows_inactive: bool = False,
    ) -> None:
        self.export_id = export_id
        self.writable = writable
        self.writethrough = writethrough
        self.is_shutting_down = False
        self.on_end: Callable[[], object] = lambda: None
        self.used = Permission.CONSISTENT_READ | (Permission.WRITE if writable else Permission(0))
        self.backend = BlockBackend(graph, allows_inactive=allows_inactive)

    async def open(self, node: Node) -> None:
        """Become a user of the node.  The graph is locked.

        Raises:
            QMPError: Another user does not agree.
        """
        await self.backend.insert(node, PermissionSet(self.used, self.shared))

    @property
    def has_clients(self) -> bool:
        """Whether somebody uses it."""
        return False

    async def shut_down(self) -> None:
        """Part with all clients, and let what they asked for last end."""

    async def close(self) -> None:
        """Stop using the node.  The graph is locked, and no client is left."""
        await self.backend.remove()

    def to_wire(self) -> dict[str, Any]:
        """Shape it as ``BlockExportInfo``."""
        return {
            "id": self.export_id,
            "type": self.export_type,
            "node-name": self.backend.node.node_name,
            "shutting-down": self.is_shutting_down,
        }
