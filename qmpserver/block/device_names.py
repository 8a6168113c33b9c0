"""Say what the graph must know of devices: their names, which stand for the nodes they use."""

from collections.abc import Sequence
from typing import Protocol

from qmpserver.block.node import Node, Parent


class DeviceNames(Protocol):
    """Devices that have a name, and so share the names with nodes."""

    def __contains__(self, name: object) -> bool:
        """Say whether a device has this name."""

    def root_of(self, name: str) -> Node:
        """Return the node that the device of that name uses.

        Raises:
            QMPError: It uses none.
        """

    def name_of(self, node: Node) -> str:
        """Return the name of the device that uses a node; empty when none does."""

    def users(self) -> Sequence[Parent]:
        """Return the handles that devices have on nodes, those without a node as well, the oldest first."""


class NoDevices:
    """The names of no devices at all."""

    def __contains__(self, name: object) -> bool:
        return False

    def root_of(self, name: str) -> Node:
        """Fail, since no device is called so."""
        raise KeyError(name)

    def name_of(self, node: Node) -> str:
        """Return the empty name."""
        del node
        return ""

    def users(self) -> Sequence[Parent]:
        """Return no handles."""
        return ()
