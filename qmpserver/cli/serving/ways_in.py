"""Make chardevs of what the command line says of them.

They are opened at once, so that a wrong address is told at its option; monitors are put on them at
the end.  A client that comes while options are still carried out waits in the kernel's queue, and
finds a server on which all of them have been.
"""

import os
import socket
from collections.abc import MutableMapping

from qmpserver import sockets
from qmpserver.chardevs import store
from qmpserver.chardevs.chardev import Chardev as OpenChardev
from qmpserver.chardevs.socket_chardev import ListeningChardev, SocketSpec, make_socket
from qmpserver.chardevs.store import ChardevStore
from qmpserver.cli.reports import Reporter
from qmpserver.cli.serving.chardevs import Chardev, SocketOptions
from qmpserver.errors import QMPError
from qmpserver.sockets import FdAddress, SocketAddress, TcpAddress, UnixAddress


def make_chardev(chardev: Chardev, *, finds_direction: bool = False) -> OpenChardev:
    """Make a chardev; it is not open yet.

    Args:
        chardev: What is wanted.
        finds_direction: Whether a passed descriptor listens is asked of the descriptor itself.

    Raises:
        QMPError: It cannot be had.
    """
    if chardev.socket is not None:
        return _make_socket(chardev.chardev_id, chardev.socket, finds_direction=finds_direction)
    return store.make_chardev(chardev.chardev_id, {"type": chardev.backend, "data": chardev.data})


def _make_socket(label: str, options: SocketOptions, *, finds_direction: bool) -> OpenChardev:
    address = _address(options)
    if isinstance(address, FdAddress) and finds_direction:
        return make_passed(label, address.fd)
    spec = SocketSpec(address, options.is_server, options.wait, options.nodelay, options.reconnect_ms)
    return make_socket(label, spec)


def make_passed(label: str, descriptor: int) -> OpenChardev:
    """Make a chardev of a passed descriptor, whether it listens or is connected.

    Raises:
        QMPError: It is no socket.
    """
    opened = sockets.socket_of(descriptor)
    listens = bool(opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    return make_socket(label, SocketSpec(FdAddress(opened.detach()), is_server=listens))


def make_activated(environment: MutableMapping[str, str], label: str) -> list[OpenChardev]:
    """Make chardevs of the descriptors that a service manager passed.

    Args:
        environment: Says which they are.
        label: What the first is called; the others have a number as well.

    Raises:
        QMPError: There are none, or one is no socket.
    """
    descriptors = sockets.activated_fds(environment, os.getpid())
    if not descriptors:
        raise QMPError("no sockets were passed (LISTEN_FDS)")
    labels = [label, *(f"{label}.{number}" for number in range(1, len(descriptors)))]
    return [make_passed(label, fd) for label, fd in zip(labels, descriptors, strict=True)]


def _address(options: SocketOptions) -> SocketAddress:
    if options.path is not None:
        return UnixAddress(options.path, options.abstract, options.tight)
    if options.host is not None:
        return TcpAddress(options.host, options.port, options.to, options.ipv4, options.ipv6)
    descriptor = options.descriptor or ""
    if not descriptor.isdecimal():
        raise QMPError(f"Unable to parse FD number {descriptor}")
    return FdAddress(int(descriptor))


async def open_chardev(
    store: ChardevStore, chardev: Chardev, reporter: Reporter, written: str, *, finds_direction: bool = False
) -> OpenChardev:
    """Open a chardev, and wait for its first client where that was asked for.

    Args:
        store: Where it is to be found.
        chardev: What is wanted.
        reporter: Told of the waiting.
        written: The option, as it was written.
        finds_direction: Whether a passed descriptor listens is asked of the descriptor itself.

    Raises:
        QMPError: It cannot be had, or its label is taken.
    """
    made = make_chardev(chardev, finds_direction=finds_direction)
    await store.add(made)
    if chardev.socket is not None and chardev.socket.wait:
        assert isinstance(made, ListeningChardev)
        reporter.note(f"QEMU waiting for connection on: {made.filename}", written)
        await made.first_client()
    return made
