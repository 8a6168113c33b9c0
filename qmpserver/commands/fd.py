"""Take in and give back the descriptors that clients pass over UNIX sockets."""

from typing import Any

from qmpserver.daemon import Daemon
from qmpserver.monitor.commands import Client


def getfd(daemon: Daemon, *, client: Client, fdname: str) -> None:
    """Give a name to the descriptor that came with the command."""
    del daemon
    client.fds.getfd(fdname)


def closefd(daemon: Daemon, *, client: Client, fdname: str) -> None:
    """Close a named descriptor."""
    del daemon
    client.fds.closefd(fdname)


def add_fd(
    daemon: Daemon, *, client: Client, fdset_id: int | None = None, opaque: str | None = None
) -> dict[str, Any]:
    """Put the descriptor that came with the command into a set."""
    return daemon.fd_sets.add(client.fds.take(), fdset_id, opaque)


def remove_fd(daemon: Daemon, *, fdset_id: int, fd: int | None = None) -> None:
    """Close one descriptor of a set, or all."""
    daemon.fd_sets.remove(fdset_id, fd)


def query_fdsets(daemon: Daemon) -> list[dict[str, Any]]:
    """Show the sets."""
    return daemon.fd_sets.query()
