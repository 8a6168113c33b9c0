"""Tell clients when a node is written beyond an offset."""

from functools import partial

from qmpserver.block.write_threshold import WriteThreshold
from qmpserver.daemon import Daemon
from qmpserver.errors import QMPError


def block_set_write_threshold(daemon: Daemon, *, node_name: str, write_threshold: int) -> None:
    """Set a node's threshold, or take it away with 0."""
    node = daemon.graph.get(node_name)
    if node is None:
        raise QMPError(f"Device '{node_name}' not found")
    node.write_threshold = None
    # QEMU: what is negative on the wire is what its 64 bits say.
    offset = write_threshold % (1 << 64)
    if offset:
        node.write_threshold = WriteThreshold(offset, partial(_tell, daemon, node_name))


def _tell(daemon: Daemon, node_name: str, threshold: int, amount_exceeded: int) -> None:
    data = {"node-name": node_name, "amount-exceeded": amount_exceeded, "write-threshold": threshold}
    daemon.events.emit("BLOCK_WRITE_THRESHOLD", data)
