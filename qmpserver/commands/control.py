"""Answer about the server itself, and end it."""

from typing import Any

from qmpserver.daemon import Daemon
from qmpserver.version import QEMU_VERSION, __version__


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


def quit(daemon: Daemon) -> None:  # noqa: A001 - the wire's name
    """End the server in good order, after this reply."""
    daemon.on_shutdown("host-qmp-quit")
