"""Make the actions that take snapshots, for a command of their own or for a transaction."""

from functools import partial
from typing import Any

from qmpserver.block import backing_name
from qmpserver.block.external_snapshot import ExternalSnapshot, NewOverlay, SnapshotByFile, SnapshotByNode
from qmpserver.block.internal_snapshots import InternalSnapshot
from qmpserver.block.node import Node
from qmpserver.daemon import Daemon
from qmpserver.errors import QMPError


def by_node(daemon: Daemon, *, node: str, overlay: str) -> ExternalSnapshot:
    """Return the action of ``blockdev-snapshot``.  The graph is locked from now to its end.

    Raises:
        QMPError: There is no such node.
    """
    return SnapshotByNode(daemon.graph, daemon.graph.find(node), overlay)


def by_file(
    daemon: Daemon,
    *,
    snapshot_file: str,
    device: str | None = None,
    node_name: str | None = None,
    snapshot_node_name: str | None = None,
    format: str = "qcow2",  # noqa: A002 - the wire's name
    mode: str = "absolute-paths",
) -> ExternalSnapshot:
    """Return the action of ``blockdev-snapshot-sync``.  The graph is locked from now to its end.

    Raises:
        QMPError: There is no such node.
    """
    node = daemon.graph.find_either(device, node_name)
    # QEMU: the overlay of a node that is meant by its own name needs a name, that of a drive's does not.
    needs_name = node_name is not None
    wanted = NewOverlay(snapshot_file, format, snapshot_node_name, mode == "existing", needs_name)
    return SnapshotByFile(daemon.graph, node, daemon.opener, partial(_create, daemon), wanted)


def internal(daemon: Daemon, *, device: str, name: str) -> InternalSnapshot:
    """Return the action of ``blockdev-snapshot-internal-sync``.  The graph is locked from now to its end.

    Raises:
        QMPError: There is no such node, or another one is above it.
    """
    return InternalSnapshot(find_root(daemon, device), device, name, daemon.clock.realtime_us())


def find_root(daemon: Daemon, name: str) -> Node:
    """Return the node of that name, which no other may be above.

    Raises:
        QMPError: There is no such node, or one above it.
    """
    node = daemon.graph.find(name)
    if not backing_name.is_root(node):
        raise QMPError("Need a root block node")
    return node


async def _create(daemon: Daemon, filename: str, image_format: str, options: dict[str, Any]) -> None:
    """Make an image that names a backing file."""
    try:
        driver = daemon.registry.find(image_format)
    except QMPError as error:
        raise QMPError(f"Unknown file format '{image_format}'") from error
    if not driver.supports_backing:
        raise QMPError(f"Backing file not supported for file format '{image_format}'")
    await daemon.create_image(filename, image_format, options, is_locked=True)
