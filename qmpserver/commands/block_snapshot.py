"""Put overlays over nodes, and change what images name as their backing file."""

from qmpserver import transaction
from qmpserver.block import backing_name
from qmpserver.commands import snapshot_actions
from qmpserver.daemon import Daemon
from qmpserver.errors import QMPError


async def blockdev_snapshot(daemon: Daemon, *, node: str, overlay: str) -> None:
    """Put an overlay that is a node already over a node."""
    async with daemon.graph.lock:
        await transaction.run([snapshot_actions.by_node(daemon, node=node, overlay=overlay)])


async def blockdev_snapshot_sync(
    daemon: Daemon,
    *,
    snapshot_file: str,
    device: str | None = None,
    node_name: str | None = None,
    snapshot_node_name: str | None = None,
    format: str = "qcow2",  # noqa: A002 - the wire's name
    mode: str = "absolute-paths",
) -> None:
    """Put an overlay that is a file over a node."""
    async with daemon.graph.lock:
        action = snapshot_actions.by_file(
            daemon,
            snapshot_file=snapshot_file,
            device=device,
            node_name=node_name,
            snapshot_node_name=snapshot_node_name,
            format=format,
            mode=mode,
        )
        await transaction.run([action])


async def change_backing_file(
    daemon: Daemon, *, device: str, image_node_name: str, backing_file: str
) -> None:
    """Store another backing file name in an image of a chain."""
    async with daemon.graph.lock:
        top = daemon.graph.find(device)
        if not backing_name.is_root(top):
            raise QMPError("Need a root block node")
        image = daemon.graph.get(image_node_name)
        if image is None:
            raise QMPError(f"Cannot find device='' nor node-name='{image_node_name}'")
        await backing_name.change(daemon.graph, top, image, backing_file)
