"""Add and remove chardevs, and read and write those that are buffers."""

import base64
import binascii
import contextlib
from collections.abc import Iterator
from typing import Any

from qmpserver.chardevs.store import SERVED, make_chardev
from qmpserver.chardevs.streams import PtyChardev
from qmpserver.daemon import Daemon
from qmpserver.errors import QMPError
from qmpserver.monitor.commands import Client


def query_chardev(daemon: Daemon) -> list[dict[str, Any]]:
    """Show every chardev."""
    return [
        {
            "label": chardev.label,
            "filename": chardev.filename,
            "frontend-open": chardev.is_taken and not chardev.waits_for_guest,
        }
        for chardev in daemon.chardevs
    ]


def query_chardev_backends(daemon: Daemon) -> list[dict[str, str]]:
    """List the kinds of chardevs that can be had."""
    del daemon
    return [{"name": name} for name in SERVED]


async def chardev_add(daemon: Daemon, *, client: Client, id: str, backend: dict[str, Any]) -> dict[str, str]:  # noqa: A002 - the wire's name
    """Make a chardev; one that is told to waits for its first client."""
    if daemon.chardevs.get(id) is not None:
        raise QMPError(f"Chardev with id '{id}' already exists", code="exists", chardev=id)
    with _naming(id):
        chardev = make_chardev(id, backend, client.fds.claim)
        await daemon.chardevs.add(chardev)
    if backend["data"].get("wait"):
        await chardev.first_client()
    return _result(chardev)


@contextlib.contextmanager
def _naming(label: str) -> Iterator[None]:
    """Say in a refusal which chardev could not be made."""
    try:
        yield
    except QMPError as error:
        raise error.within(f"Failed to add chardev '{label}': ") from error


def _result(chardev: object) -> dict[str, str]:
    return {"pty": chardev.name} if isinstance(chardev, PtyChardev) else {}


async def chardev_change(
    daemon: Daemon,
    *,
    client: Client,
    id: str,  # noqa: A002 - the wire's name
    backend: dict[str, Any],
) -> dict[str, str]:
    """Put another chardev in the place of one that nobody uses."""
    old = daemon.chardevs.get(id)
    if old is None:
        raise QMPError(f"Chardev '{id}' does not exist", code="not-found", chardev=id)
    daemon.chardevs.check_free(old)
    with _naming(id):
        chardev = make_chardev(id, backend, client.fds.claim)
        await daemon.chardevs.replace(old, chardev)
    return _result(chardev)


def chardev_remove(daemon: Daemon, *, id: str) -> None:  # noqa: A002 - the wire's name
    """Close a chardev that nobody uses."""
    daemon.chardevs.remove(id)


def chardev_send_break(daemon: Daemon, *, id: str) -> None:  # noqa: A002 - the wire's name
    """Send a break, which means nothing to any chardev here."""
    if daemon.chardevs.get(id) is None:
        raise QMPError(f"Chardev '{id}' not found", code="not-found", chardev=id)


def ringbuf_write(daemon: Daemon, *, device: str, data: str, format: str = "utf8") -> None:  # noqa: A002 - the wire's name
    """Add to a buffer."""
    ringbuf = daemon.chardevs.ringbuf(device)
    if format == "base64":
        try:
            ringbuf.write(base64.b64decode(data, validate=True))
        except (ValueError, binascii.Error) as error:
            raise QMPError("Base64 data contains invalid characters") from error
    else:
        ringbuf.write(data.encode())


def ringbuf_read(daemon: Daemon, *, device: str, size: int, format: str = "utf8") -> str:  # noqa: A002 - the wire's name
    """Take from a buffer what came first; what is no text shows as U+FFFD."""
    ringbuf = daemon.chardevs.ringbuf(device)
    if size <= 0:
        raise QMPError("size must be greater than zero")
    data = ringbuf.read(size)
    if format == "base64":
        return base64.b64encode(data).decode()
    return data.decode("utf-8", "replace")
