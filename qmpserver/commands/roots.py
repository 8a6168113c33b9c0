"""Find the node a client means when only one that no other node uses will do, and name what is done with it."""

from qmpserver.block.backend import BlockBackend
from qmpserver.block.node import Node
from qmpserver.daemon import Daemon
from qmpserver.errors import QMPError


def find_root(daemon: Daemon, name: str) -> Node:
    """Return the node called `name`, which nobody uses but devices and exports.

    Raises:
        QMPError: There is no such node, or another node or a job uses it.
    """
    node = daemon.graph.find(name)
    if not all(isinstance(edge.parent, BlockBackend) for edge in node.parents):
        raise QMPError("Need a root block node")
    return node


def job_id_for(daemon: Daemon, job_id: str, node: Node) -> str:
    """Return what a job on a node is called: as its user says, or as the device that uses the node."""
    return job_id or daemon.graph.devices.name_of(node)
