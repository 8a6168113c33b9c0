"""Let clients in: listen where they come, or go and connect to them."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from qmpserver import sockets
from qmpserver.clock import Clock
from qmpserver.errors import QMPError
from qmpserver.listening import Acceptor, ListeningSockets
from qmpserver.log import Logger
from qmpserver.monitor.channel import Channel, SocketChannel, StdioChannel
from qmpserver.sockets import FdAddress, Peer, SocketAddress, TcpAddress, UnixAddress
from qmpserver.units import NS_PER_MS


@dataclass(frozen=True, slots=True)
class Stream:
    """A pair of descriptors that are borrowed: standard input and output, a terminal, pipes.

    Attributes:
        read_fd: Where bytes come from.
        write_fd: Where they go to.
    """

    read_fd: int = 0
    write_fd: int = 1


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a monitor's clients are.

    Attributes:
        address: A socket's address, or a pair of descriptors.
        is_server: Clients connect to it; if not, it is a client to be connected to.
        reconnect_ms: Connect again that long after the connection was lost; 0 is never.
        nodelay: Small messages over TCP go out at once.
        pretty: Messages are indented.
    """

    address: SocketAddress | Stream
    is_server: bool = True
    reconnect_ms: int = 0
    nodelay: bool = True
    pretty: bool = False


class Guest(Protocol):
    """Somebody who was let in."""

    @property
    def is_gone(self) -> bool:
        """Whether the connection is broken."""

    def close(self) -> None:
        """Break the connection."""


class Host(Protocol):
    """Who serves those who are let in."""

    log: Logger

    def attach(
        self,
        channel: Channel,
        peer: Peer,
        *,
        pretty: bool = False,
        on_end: Callable[[], object] | None = None,
    ) -> Guest:
        """Serve somebody new; see :meth:`~qmpserver.monitor.monitor.Monitor.attach`."""


class _Admission:
    """Hand clients to the monitor, and know which of them are there.

    Args:
        endpoint: Where they come from.
        monitor: Who serves them.
        clock: What to wait by.
        on_client_end: Called each time one has gone.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        monitor: Host,
        clock: Clock,
        on_client_end: Callable[[], object] = lambda: None,
    ) -> None:
        self._endpoint = endpoint
        self._monitor = monitor
        self._clock = clock
        self._on_client_end = on_client_end
        self._clients: set[Guest] = set()

    @property
    def has_clients(self) -> bool:
        """Whether a client is there."""
        return bool(self._clients)

    def close_clients(self) -> None:
        """Break the connections of those who are there."""
        for client in tuple(self._clients):
            client.close()

    def _admit(self, channel: Channel, peer: Peer) -> None:
        client = self._monitor.attach(channel, peer, pretty=self._endpoint.pretty, on_end=self._forget_ended)
        if not client.is_gone:
            self._clients.add(client)

    def _admit_socket(self, connection: socket.socket) -> None:
        if self._endpoint.nodelay and connection.family in (socket.AF_INET, socket.AF_INET6):
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._admit(SocketChannel(connection), sockets.peer_of(connection))

    def _forget_ended(self) -> None:
        self._clients = {client for client in self._clients if not client.is_gone}
        self._client_ended()

    def _client_ended(self) -> None:
        self._on_client_end()


class Listener(_Admission):
    """Accept clients on listening sockets."""

    _acceptor: Acceptor | None = None

    async def open(self) -> None:
        """Listen.

        Raises:
            QMPError: It cannot be done.
        """
        address = self._endpoint.address
        assert not isinstance(address, Stream)
        self._first_client = asyncio.Event()
        listening = ListeningSockets(address)
        self._acceptor = Acceptor(listening, self._serve, self._clock, self._monitor.log)

    async def first_client(self) -> None:
        """Wait until a client has come."""
        await self._first_client.wait()

    @property
    def names(self) -> list[object]:
        """What the sockets are bound to, as the socket module shows it; the port that was chosen."""
        return self._acceptor.names if self._acceptor is not None else []

    def _serve(self, connection: socket.socket) -> None:
        self._admit_socket(connection)
        self._first_client.set()

    async def close(self) -> None:
        """Listen no more; a UNIX socket's file is removed if it is still ours.  Clients stay."""
        if self._acceptor is not None:
            self._acceptor.close()


class Connector(_Admission):
    """Be a client's server by connecting to it, and again when it was lost.

    The endpoint is where the client listens, or a connected descriptor, or a pair of descriptors.
    """

    _reconnecting: asyncio.Task[None] | None = None
    _is_closed = False

    async def open(self) -> None:
        """Connect; with `reconnect_ms`, begin to try.

        Raises:
            QMPError: It cannot be done, and is not to be tried again.
        """
        if self._endpoint.reconnect_ms:
            self._reconnecting = asyncio.create_task(self._reconnect(0))
            return
        await self._connect()

    async def first_client(self) -> None:
        """Return at once: who is connected to has come."""

    async def _connect(self) -> None:
        match self._endpoint.address:
            case Stream(read_fd, write_fd):
                self._admit(StdioChannel(read_fd, write_fd), Peer(uid=os.getuid()))
            case FdAddress(fd):
                self._admit_socket(sockets.socket_of(fd))
            case UnixAddress() | TcpAddress() as address:
                self._admit_socket(await sockets.connect(address))

    def _client_ended(self) -> None:
        super()._client_ended()
        if self._endpoint.reconnect_ms and not self._is_closed:
            self._reconnecting = asyncio.create_task(self._reconnect(self._endpoint.reconnect_ms))

    async def _reconnect(self, delay_ms: int) -> None:
        while True:
            await self._clock.sleep(delay_ms * NS_PER_MS)
            try:
                await self._connect()
            except QMPError as error:
                self._monitor.log.info("cannot connect yet", reason=error.description)
                delay_ms = self._endpoint.reconnect_ms
            else:
                return

    async def close(self) -> None:
        """Connect no more.  The client stays."""
        self._is_closed = True
        if self._reconnecting is not None:
            self._reconnecting.cancel()
            await asyncio.gather(self._reconnecting, return_exceptions=True)


Door: TypeAlias = Listener | Connector


async def open_door(
    endpoint: Endpoint,
    monitor: Host,
    clock: Clock,
    on_client_end: Callable[[], object] = lambda: None,
) -> Door:
    """Open the way for clients; who must wait for one calls the door's `first_client` next.

    Args:
        endpoint: Where they are.
        monitor: Who serves them.
        clock: What to wait by.
        on_client_end: Called each time one has gone.

    Raises:
        QMPError: It cannot be done.
    """
    is_server = endpoint.is_server and not isinstance(endpoint.address, Stream)
    door: Door = (Listener if is_server else Connector)(endpoint, monitor, clock, on_client_end)
    await door.open()
    return door
