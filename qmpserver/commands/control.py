"""Answer about the server itself, and end it."""

import asyncio
from typing import Any, Final

from qmpserver.daemon import Daemon
from qmpserver.version import QEMU_VERSION, __version__

_QUIT_PATIENCE_S: Final = 2.0
"""How long the reply to `quit` waits for jobs and exports to end."""


def query_version(daemon: Daemon) -> dict[str, Any]:
    """State whose wire is spoken, and by what."""
    del daemon
    return version_info()


def version_info() -> dict[str, Any]:
    """Shape the version as ``VersionInfo``; the greeting has the same."""
    major, minor, micro = QEMU_VERSION
    return {
        "qemu": {"major": major, "minor": minor, "micro": micro},
        "package": f"qmpserver {__version__}",
    }


def query_commands(daemon: Daemon) -> list[dict[str, str]]:
    """List the commands."""
    return [{"name": name} for name in daemon.schema.commands]


def query_events(daemon: Daemon) -> list[dict[str, str]]:
    """List the events, for clients older than introspection."""
    return [{"name": name} for name in daemon.schema.events]


async def quit(daemon: Daemon) -> None:  # noqa: A001 - the wire's name
    """End the server in good order; the reply comes when jobs and exports are gone, unless that takes long."""
    daemon.shut_down("host-qmp-quit")
    await asyncio.wait([daemon.part_with_users()], timeout=_QUIT_PATIENCE_S)
