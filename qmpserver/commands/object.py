"""Create, show and delete user objects."""

import threading
from typing import Any

from qmpserver.daemon import Daemon
from qmpserver.qom.iothread import IOThread


def object_add(daemon: Daemon, *, options: dict[str, Any]) -> None:
    """Create an object."""
    daemon.objects.add(options)


def query_iothreads(daemon: Daemon) -> list[dict[str, Any]]:
    """Show the iothreads, newest first."""
    found = [item for item in daemon.objects.items().values() if isinstance(item, IOThread)]
    shown = ("poll-max-ns", "poll-grow", "poll-shrink", "poll-weight", "aio-max-batch")
    return [
        {
            "id": item.object_id,
            "thread-id": threading.get_native_id(),
            **{name: item.get_property(name) for name in shown},
        }
        for item in reversed(found)
    ]


def object_del(daemon: Daemon, *, id: str) -> None:  # noqa: A002 - the wire's name
    """Delete an object."""
    daemon.objects.remove(id)
