"""Show and cut connections that may hang."""

from collections.abc import Callable
from functools import partial
from typing import Any

from qmpserver.chardevs.chardev import Chardev
from qmpserver.chardevs.monitoring import ChardevMonitor
from qmpserver.driver_api.extras import SupportsYank
from qmpserver.errors import DeviceNotFound
from qmpserver.machine.machine import Machine

_CONNECTING = "socket"
"""The kind of chardev that has a connection."""


def query_yank(machine: Machine) -> list[dict[str, Any]]:
    """List what can be cut."""
    chardevs = [
        {"type": "chardev", "id": chardev.label} for chardev in machine.chardevs if _connects(chardev)
    ]
    nodes = [
        {"type": "block-node", "node-name": node.node_name}
        for node in machine.graph
        if isinstance(node.driver, SupportsYank)
    ]
    migration = [] if machine.migration.progress.is_idle else [{"type": "migration"}]
    return [*chardevs, *nodes, *migration]


def yank(machine: Machine, *, instances: list[dict[str, Any]]) -> None:
    """Cut connections; none of them when one does not exist."""
    for cut in [_cutter(machine, instance) for instance in instances]:
        cut()


def _connects(chardev: Chardev) -> bool:
    return chardev.backend == _CONNECTING


def _disconnect(chardev: Chardev) -> None:
    """Part with who is at the other end, and with the clients of a monitor that has connections of its own."""
    chardev.disconnect()
    if isinstance(chardev.user, ChardevMonitor):
        chardev.user.close_clients()


def _cutter(machine: Machine, instance: dict[str, Any]) -> Callable[[], object]:
    """Return what cuts a connection."""
    if instance["type"] == "block-node":
        node = machine.graph.get(instance["node-name"])
        if node is not None and isinstance(node.driver, SupportsYank):
            return node.driver.yank
    elif instance["type"] == "chardev":
        chardev = machine.chardevs.get(instance["id"])
        if chardev is not None and _connects(chardev):
            return partial(_disconnect, chardev)
    elif instance["type"] == "migration" and not machine.migration.progress.is_idle:
        return machine.migration.cut
    raise DeviceNotFound("Instance not found")
