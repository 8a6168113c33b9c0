"""Change an open node, and what it is stored in, between read-only and read-write."""

import contextlib
from dataclasses import dataclass, field

from qmpserver.block.graph import Graph
from qmpserver.block.node import Node
from qmpserver.driver_api.extras import SupportsReopen
from qmpserver.driver_api.permissions import ChildRole
from qmpserver.errors import QMPError, error_text


async def set_read_only(graph: Graph, node: Node, *, read_only: bool) -> None:
    """Make `node` and the children it stores itself in read-only or read-write.

    Raises:
        QMPError: An image cannot be written, or another user or process does not allow it; nothing
            has changed.
    """
    change = _Change(read_only, [(item, item.flags.read_only) for item in _storage(node)])
    try:
        await change.prepare()
        await graph.refresh(node)
        await change.commit()
    except BaseException as error:
        change.restore_flags()
        await graph.loosen(node)
        await change.undo()
        if isinstance(error, OSError):
            raise QMPError(f"Could not reopen '{node.node_name}': {error_text(error)}") from error
        raise


@dataclass(slots=True)
class _Change:
    """Several nodes on their way to another state, all of them or none.

    Attributes:
        read_only: The state.
        before: The nodes, lowest first, and whether each was read-only.
        prepared: The drivers that are ready for it, with their nodes.
        committed: Those that are in it.
    """

    read_only: bool
    before: list[tuple[Node, bool]]
    prepared: list[tuple[Node, SupportsReopen]] = field(default_factory=list)
    committed: list[tuple[Node, SupportsReopen]] = field(default_factory=list)

    async def prepare(self) -> None:
        for node, _ in self.before:
            if isinstance(node.driver, SupportsReopen):
                async with node.drained():
                    await node.driver.prepare_reopen(read_only=self.read_only, options={})
                self.prepared.append((node, node.driver))
            node.flags.read_only = self.read_only

    async def commit(self) -> None:
        while self.prepared:
            node, driver = self.prepared[0]
            async with node.drained():
                await driver.commit_reopen()
            self.committed.append(self.prepared.pop(0))

    def restore_flags(self) -> None:
        for node, old in self.before:
            node.flags.read_only = old

    async def undo(self) -> None:
        """Take back what can be; why the change failed is what the caller is to hear."""
        for _, driver in self.prepared:
            await driver.abort_reopen()
        for node, driver in reversed(self.committed):
            with contextlib.suppress(OSError, QMPError):
                async with node.drained():
                    await driver.prepare_reopen(read_only=node.flags.read_only, options={})
                    await driver.commit_reopen()


def _storage(node: Node) -> list[Node]:
    """Return `node` and everything it is stored in, lowest first."""
    found: list[Node] = []
    for edge in node.children.values():
        if edge.role & (ChildRole.DATA | ChildRole.METADATA | ChildRole.FILTERED):
            found.extend(_storage(edge.node))
    found.append(node)
    return found
