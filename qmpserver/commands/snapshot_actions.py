"""Make the actions that put overlays over nodes, for a command of their own or for a transaction."""

from functools import partial
from typing import Any

from qmpserver.block.external_snapshot import ExternalSnapshot, NewOverlay, SnapshotByFile, SnapshotByNode
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
    node = daemon.graph.get(node_name) if node_name is not None else None
    if node is None:
        raise QMPError(f"Cannot find device='{device or ''}' nor node-name='{node_name or ''}'")
    wanted = NewOverlay(snapshot_file, format, snapshot_node_name, mode == "existing")
    return SnapshotByFile(daemon.graph, node, daemon.opener, partial(_create, daemon), wanted)


async def _create(daemon: Daemon, filename: str, image_format: str, options: dict[str, Any]) -> None:
    """Make an image that names a backing file."""
    try:
        driver = daemon.registry.find(image_format)
    except QMPError as error:
        raise QMPError(f"Unknown file format '{image_format}'") from error
    if not driver.supports_backing:
        raise QMPError(f"Backing file not supported for file format '{image_format}'")
    await daemon.create_image(filename, image_format, options, is_locked=True)
