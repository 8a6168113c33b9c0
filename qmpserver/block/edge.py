"""Link a user to a node: a node above, a job, or a device."""

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from qmpserver.block import filenames
from qmpserver.driver_api.limits import Limits
from qmpserver.driver_api.permissions import ChildRole, Permission, PermissionSet
from qmpserver.driver_api.status import BlockStatus

if TYPE_CHECKING:
    from qmpserver.block.node import Node


class Parent(Protocol):
    """Whoever uses a node through an edge."""

    @property
    def name(self) -> str:
        """The user's own name: a node's, a job's, a device's."""

    def describe(self) -> str:
        """Name the user in a refusal: ``node 'x'``, ``stream job 'j'``."""


class Edge:
    """One user's link to one node; for a driver, its child (:class:`BlockChild`).

    Attributes:
        name: What the user calls the child: `file`, `backing`, `root`, ...
        parent: The user.
        role: What the user uses it for; none for a user that is not a node.
        permissions: What the user holds, and lets others hold.
        node: Where the edge leads.  Only :mod:`qmpserver.block.graph` changes it.
        is_frozen: The edge may not be taken away or led elsewhere, because a job relies on it.
    """

    __slots__ = ("is_frozen", "name", "node", "parent", "permissions", "role")

    def __init__(
        self, name: str, parent: Parent, role: ChildRole, permissions: PermissionSet, node: "Node"
    ) -> None:
        self.name = name
        self.parent = parent
        self.role = role
        self.permissions = permissions
        self.node = node
        self.is_frozen = False

    @property
    def used(self) -> Permission:
        """The permissions the user holds."""
        return self.permissions.used

    @property
    def shared(self) -> Permission:
        """The permissions the user lets others hold."""
        return self.permissions.shared

    @property
    def node_name(self) -> str:
        """The name of the node the edge leads to."""
        return self.node.node_name

    @property
    def filename(self) -> str:
        """The name that opens the node again."""
        return filenames.filename_of(self.node)

    @property
    def size(self) -> int:
        """The size in bytes of the node the edge leads to."""
        return self.node.size

    @property
    def read_only(self) -> bool:
        """Whether the node the edge leads to refuses writes."""
        return self.node.read_only

    @property
    def limits(self) -> Limits:
        """What the node the edge leads to asks of its requests."""
        return self.node.driver.limits

    # The requests hand on the node's own coroutine, so that an edge costs no coroutine of its own.

    def pread(self, offset: int, into: memoryview, flags: int = 0) -> Coroutine[Any, Any, None]:
        """Fill `into` with the bytes at `offset`."""
        return self.node.pread(offset, into, flags)

    def pwrite(self, offset: int, data: memoryview, flags: int = 0) -> Coroutine[Any, Any, None]:
        """Store `data` at `offset`."""
        return self.node.pwrite(offset, data, flags)

    def pwrite_zeroes(self, offset: int, length: int, flags: int = 0) -> Coroutine[Any, Any, None]:
        """Make the range read as zeroes."""
        return self.node.pwrite_zeroes(offset, length, flags)

    def pdiscard(self, offset: int, length: int) -> Coroutine[Any, Any, None]:
        """Say that the range's content is no longer of interest."""
        return self.node.pdiscard(offset, length)

    def flush(self) -> Coroutine[Any, Any, None]:
        """Bring everything written so far to stable storage."""
        return self.node.flush()

    def truncate(self, size: int) -> Coroutine[Any, Any, None]:
        """Set the node's size in bytes."""
        return self.node.truncate(size)

    def block_status(self, offset: int, length: int) -> Coroutine[Any, Any, BlockStatus]:
        """Say what is known of the range."""
        return self.node.block_status(offset, length)

    def is_allocated_above(
        self, bottom: str | None, offset: int, length: int
    ) -> Coroutine[Any, Any, tuple[bool, int]]:
        """Say whether this node's chain, down to the node named `bottom`, determines the range."""
        return self.node.is_allocated_down_to(bottom, offset, length)

    def allocated_size(self) -> Coroutine[Any, Any, int | None]:
        """Return the bytes the node occupies on the host."""
        return self.node.driver.allocated_size()
