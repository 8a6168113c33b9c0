"""Keep network backends by name; they carry nothing."""

from typing import Any

from qmpserver.errors import DeviceNotFound, QMPError
from qmpserver.machine.machine import Machine

_NO_BACKENDS = ("none", "nic")


def netdev_add(machine: Machine, *, options: dict[str, Any]) -> None:
    """Add a network backend."""
    if options["type"] in _NO_BACKENDS:
        raise QMPError(f"network backend '{options['type']}' is not compiled into this binary")
    machine.add_netdev(options["id"])


def netdev_del(machine: Machine, *, id: str) -> None:  # noqa: A002 - the wire's name
    """Take a network backend away; devices that lead to it lead nowhere."""
    if id not in machine.netdevs:
        raise DeviceNotFound(f"Device '{id}' not found")
    machine.netdevs.remove(id)
