"""Sockets as chardevs: those that clients connect to, and those that connect to a client."""

import asyncio
import os
import socket
from dataclasses import dataclass
from typing import ClassVar, cast

from qmpserver import sockets
from qmpserver.chardevs.chardev import Chardev
from qmpserver.listening import ListeningSockets
from qmpserver.monitor.doors import Endpoint
from qmpserver.sockets import FdAddress, SocketAddress


@dataclass(frozen=True, slots=True)
class SocketSpec:
    """What a socket chardev is to be.

    Attributes:
        address: Where.
        is_server: Clients connect to us, not we to them.
        wait: Nothing goes on before the first client is there.
        nodelay: Small messages over TCP go out at once.
        reconnect_ms: How long to wait before connecting again; 0 is never.
    """

    address: SocketAddress
    is_server: bool = True
    wait: bool = False
    nodelay: bool = True
    reconnect_ms: int = 0


class ListeningChardev(Chardev):
    """A socket that clients connect to.

    Who connects before a monitor is put on it waits in the kernel's queue.

    Args:
        label: What it is called.
        spec: What it is to be.
    """

    backend: ClassVar[str] = "socket"

    def __init__(self, label: str, spec: SocketSpec) -> None:
        super().__init__(label)
        self._spec = spec
        self._listening: ListeningSockets | None = None

    @property
    def filename(self) -> str:
        """The address, and whether somebody is connected."""
        is_connected = self.user is not None and self.user.has_clients
        return f"{'' if is_connected else 'disconnected:'}{self._shown()},server=on"

    def _shown(self) -> str:
        address = self._spec.address
        if isinstance(address, sockets.TcpAddress) and self._listening is not None:
            (host, port, *_), *_ = cast("list[tuple[str, int]]", self._listening.names)
            return str(sockets.TcpAddress(host, str(port)))
        return str(address)

    async def open(self) -> None:
        """Listen."""
        self._listening = ListeningSockets(self._spec.address)

    def hand_over(self) -> list[Endpoint]:
        """Return copies of the sockets."""
        assert self._listening is not None
        nodelay = self._spec.nodelay
        return [Endpoint(FdAddress(fd), nodelay=nodelay) for fd in self._listening.duplicates()]

    async def first_client(self) -> None:
        """Wait until a client has connected; it is let in by the monitor."""
        assert self._listening is not None
        came = asyncio.Event()
        self._listening.watch(lambda _: came.set())
        try:
            await came.wait()
        finally:
            self._listening.unwatch()

    def close(self) -> None:
        """Listen no more, and remove the file if it is still ours."""
        if self._listening is not None:
            self._listening.close()


class ConnectedChardev(Chardev):
    """A socket by which we connect to a client, or that came connected.

    Args:
        label: What it is called.
        spec: What it is to be.
    """

    backend: ClassVar[str] = "socket"

    def __init__(self, label: str, spec: SocketSpec) -> None:
        super().__init__(label)
        self._spec = spec
        self._connection: socket.socket | None = None

    @property
    def filename(self) -> str:
        """The address, and whether somebody is connected."""
        is_connected = self.user.has_clients if self.user is not None else self._connection is not None
        return f"{'' if is_connected else 'disconnected:'}{self._spec.address}"

    async def open(self) -> None:
        """Connect, unless that is to be tried over and over."""
        address = self._spec.address
        if isinstance(address, FdAddress):
            self._connection = sockets.socket_of(address.fd)
        elif not self._spec.reconnect_ms:
            self._connection = await sockets.connect(address)

    def hand_over(self) -> list[Endpoint]:
        """Return a copy of the connection, or where to connect to."""
        nodelay = self._spec.nodelay
        if self._connection is not None:
            return [Endpoint(FdAddress(os.dup(self._connection.fileno())), is_server=False, nodelay=nodelay)]
        reconnect_ms = self._spec.reconnect_ms
        return [Endpoint(self._spec.address, is_server=False, reconnect_ms=reconnect_ms, nodelay=nodelay)]

    def disconnect(self) -> None:
        """Break the connection."""
        if self._connection is not None:
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Break the connection, unless a monitor has its own copy."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def make_socket(label: str, spec: SocketSpec) -> Chardev:
    """Make the chardev that a description asks for; it is not open yet."""
    return (ListeningChardev if spec.is_server else ConnectedChardev)(label, spec)
