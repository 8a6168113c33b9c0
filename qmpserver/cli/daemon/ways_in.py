"""Open chardevs: bind at once, so that a wrong address is told at its option; let clients in at the end.

A client that comes while options are still carried out waits in the kernel's queue, and finds a
server on which all of them have been.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass, field

from qmpserver import sockets
from qmpserver.cli.daemon.chardevs import Chardev, SocketOptions
from qmpserver.errors import QMPError
from qmpserver.monitor.doors import Endpoint, Stdio
from qmpserver.sockets import FdAddress, SocketAddress, TcpAddress, UnixAddress


@dataclass(slots=True)
class WayIn:
    """An opened chardev.

    Attributes:
        backend: Which kind of chardev it is.
        written: The option it came by, to name it in a message.
        endpoint: Where the client is, if we go to it.
        listening: Sockets that clients can connect to already.
        nodelay: Small messages to clients who connect to these go out at once.
        path: The file of a UNIX socket we made, and which file that was.
        shown: The address as QEMU shows it to who waits.
        wait: The first client is to be waited for.
        is_in_use: A monitor has it.
    """

    backend: str
    written: str
    endpoint: Endpoint | None = None
    listening: list[socket.socket] = field(default_factory=list)
    nodelay: bool = True
    path: tuple[str, os.stat_result] | None = None
    shown: str = ""
    wait: bool = False
    is_in_use: bool = False

    def hand_over(self) -> list[Endpoint]:
        """Return where clients are or will be; the sockets are the caller's from now on."""
        endpoints = [Endpoint(FdAddress(opened.detach()), nodelay=self.nodelay) for opened in self.listening]
        self.listening.clear()
        return endpoints if self.endpoint is None else [self.endpoint]

    async def first_client(self) -> None:
        """Wait until a client has connected; it is let in later."""
        loop = asyncio.get_running_loop()
        came = asyncio.Event()
        for opened in self.listening:
            loop.add_reader(opened.fileno(), came.set)
        try:
            await came.wait()
        finally:
            for opened in self.listening:
                loop.remove_reader(opened.fileno())

    def close(self) -> None:
        """Close what no monitor took over, and remove the file."""
        for opened in self.listening:
            opened.close()
        self.listening.clear()
        if self.path is not None:
            name, made = self.path
            with contextlib.suppress(OSError):
                if os.path.samestat(os.lstat(name), made):
                    os.unlink(name)


def open_chardev(chardev: Chardev, written: str, *, finds_direction: bool = False) -> WayIn:
    """Open a chardev.

    Args:
        chardev: What to open.
        written: The option it came by.
        finds_direction: Whether a passed descriptor listens is asked of the descriptor itself.

    Raises:
        QMPError: It cannot be opened; nothing stays open.
    """
    if chardev.backend == "stdio":
        return WayIn(chardev.backend, written, Endpoint(Stdio()))
    options = chardev.socket
    if options is None:
        return WayIn(chardev.backend, written)
    address = _address(options)
    if isinstance(address, FdAddress) and finds_direction:
        return open_passed(address.fd, written)
    if not options.is_server:
        return WayIn(chardev.backend, written, _client(options, address))
    return _listen(options, address, written)


def _client(options: SocketOptions, address: SocketAddress) -> Endpoint:
    if isinstance(address, FdAddress):
        address = FdAddress(sockets.socket_of(address.fd).detach())
    return Endpoint(address, is_server=False, reconnect_ms=options.reconnect_ms, nodelay=options.nodelay)


def _listen(options: SocketOptions, address: SocketAddress, written: str) -> WayIn:
    way_in = WayIn(
        "socket", written, listening=sockets.listen(address), nodelay=options.nodelay, wait=options.wait
    )
    if isinstance(address, UnixAddress) and not address.is_abstract:
        way_in.path = (os.path.abspath(address.path), os.lstat(address.path))
    way_in.shown = f"disconnected:{address},server=on"
    return way_in


def open_passed(descriptor: int, written: str) -> WayIn:
    """Open a passed descriptor, whether it listens or is connected.

    Raises:
        QMPError: It is no socket.
    """
    opened = sockets.socket_of(descriptor)
    listens = bool(opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    if listens:
        return WayIn("socket", written, listening=[opened])
    return WayIn("socket", written, Endpoint(FdAddress(opened.detach()), is_server=False))


def open_activated(environment: MutableMapping[str, str], written: str) -> list[WayIn]:
    """Open the descriptors that a service manager passed.

    Raises:
        QMPError: There are none, or one is no socket.
    """
    descriptors = sockets.activated_fds(environment, os.getpid())
    if not descriptors:
        raise QMPError("no sockets were passed (LISTEN_FDS)")
    return [open_passed(descriptor, written) for descriptor in descriptors]


def _address(options: SocketOptions) -> SocketAddress:
    if options.path is not None:
        return UnixAddress(options.path, options.abstract, options.tight)
    if options.host is not None:
        return TcpAddress(options.host, options.port, options.to, options.ipv4, options.ipv6)
    descriptor = options.descriptor or ""
    if not descriptor.isdecimal():
        raise QMPError(f"Unable to parse FD number {descriptor}")
    return FdAddress(int(descriptor))
