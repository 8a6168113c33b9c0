"""Make chardevs of the options that describe them."""

import socket

from qmpserver import sockets
from qmpserver.chardevs import store
from qmpserver.chardevs.chardev import Chardev as OpenChardev
from qmpserver.chardevs.options import Chardev, SocketOptions
from qmpserver.chardevs.socket_chardev import SocketSpec, make_socket
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


def _address(options: SocketOptions) -> SocketAddress:
    if options.path is not None:
        return UnixAddress(options.path, options.abstract, options.tight)
    if options.host is not None:
        return TcpAddress(options.host, options.port, options.to, options.ipv4, options.ipv6)
    descriptor = options.descriptor or ""
    if not descriptor.isdecimal():
        raise QMPError(f"Unable to parse FD number {descriptor}")
    return FdAddress(int(descriptor))
