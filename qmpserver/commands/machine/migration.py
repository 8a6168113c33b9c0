"""Hand the machine to another process."""

from functools import partial
from typing import Any

from qmpserver.errors import QMPError
from qmpserver.machine.machine import Machine
from qmpserver.machine.migration.address import choose
from qmpserver.machine.migration.channel import inherited_fd
from qmpserver.monitor.commands import Client


def query_migrate_capabilities(machine: Machine) -> list[dict[str, Any]]:
    """Show what is on and off about migration."""
    return [{"capability": name, "state": is_on} for name, is_on in machine.migration.capabilities.items()]


def migrate_set_capabilities(machine: Machine, *, capabilities: list[dict[str, Any]]) -> None:
    """Switch on and off what there is about migration."""
    machine.migration.check_idle()
    machine.migration.capabilities.set({entry["capability"]: entry["state"] for entry in capabilities})


def query_migrate_parameters(machine: Machine) -> dict[str, Any]:
    """Show the figures of migration."""
    return machine.migration.parameters.shown()


def migrate_set_parameters(machine: Machine, *, options: dict[str, Any]) -> None:
    """Change figures of migration."""
    machine.migration.parameters.set(options)


def query_migrate(machine: Machine) -> dict[str, Any]:
    """Show how a migration goes on, or went."""
    return machine.migration.shown()


async def migrate(
    machine: Machine,
    *,
    client: Client,
    uri: str | None = None,
    channels: list[dict[str, Any]] | None = None,
    resume: bool = False,
    detach: bool = False,
) -> None:
    """Hand the machine to another process."""
    del detach
    if resume:
        raise QMPError("Cannot resume if there is no paused migration")
    await machine.migration.migrate(choose(uri, channels), partial(_claim, client))


def migrate_incoming(
    machine: Machine,
    *,
    client: Client,
    uri: str | None = None,
    channels: list[dict[str, Any]] | None = None,
    exit_on_error: bool = True,
) -> None:
    """Wait for a machine."""
    address = choose(uri, channels)
    machine.migration.receive(address, partial(_claim, client), ends_on_error=exit_on_error)


def migrate_cancel(machine: Machine) -> None:
    """Call a migration off."""
    machine.migration.cancel()


def migrate_continue(machine: Machine, *, state: str) -> None:
    """Go on with a migration that waits."""
    machine.migration.go_on(state)


def _claim(client: Client, name: str) -> int:
    """Hand over the descriptor of a name, or an inherited one by its number."""
    if not name.isdigit():
        try:
            return client.fds.claim(name)
        except QMPError as error:
            raise QMPError(f"File descriptor named '{name}' has not been found") from error
    return inherited_fd(name)
