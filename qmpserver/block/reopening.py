"""Change an open node, and what it is stored in, between read-only and read-write."""

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
    concerned = _storage(node)
    prepared: list[Node] = []
    before = [(item, item.flags.read_only) for item in concerned]
    try:
        for item in concerned:
            if isinstance(item.driver, SupportsReopen):
                async with item.drained():
                    await item.driver.prepare_reopen(read_only=read_only, options={})
                prepared.append(item)
            item.flags.read_only = read_only
        await graph.refresh(node)
    except (OSError, QMPError) as error:
        for item, old in before:
            item.flags.read_only = old
        for item in prepared:
            assert isinstance(item.driver, SupportsReopen)
            await item.driver.abort_reopen()
        if isinstance(error, OSError):
            raise QMPError(f"Could not reopen '{node.node_name}': {error_text(error)}") from error
        raise
    for item in prepared:
        assert isinstance(item.driver, SupportsReopen)
        async with item.drained():
            await item.driver.commit_reopen()


def _storage(node: Node) -> list[Node]:
    """Return `node` and everything it is stored in, lowest first."""
    found: list[Node] = []
    for edge in node.children.values():
        if edge.role & (ChildRole.DATA | ChildRole.METADATA | ChildRole.FILTERED):
            found.extend(_storage(edge.node))
    found.append(node)
    return found
