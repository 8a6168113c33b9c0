"""Create and delete user objects."""

from typing import Any

from qmpserver.daemon import Daemon


def object_add(daemon: Daemon, *, options: dict[str, Any]) -> None:
    """Create an object."""
    daemon.objects.add(options)


def object_del(daemon: Daemon, *, id: str) -> None:  # noqa: A002 - the wire's name
    """Delete an object."""
    daemon.objects.remove(id)
