"""Let clients in: listen where they come, or go and connect to them."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from qmpserver import sockets
from qmpserver.clock import Clock, Timer
from qmpserver.errors import QMPError, error_text
from qmpserver.monitor.channel import SocketChannel, StdioChannel
from qmpserver.monitor.monitor import Monitor
from qmpserver.sockets import FdAddress, Peer, SocketAddress, TcpAddress, UnixAddress
from qmpserver.units import NS_PER_MS

_ACCEPTS_PER_TURN = 16
_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_RETRY_ACCEPT_NS = 100 * NS_PER_MS


@dataclass(frozen=True, slots=True)
class Stdio:
    """Standard input and output."""

    def __str__(self) -> str:
        return "stdio"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a monitor's clients are.

    Attributes:
        address: A socket's address, or standard input and output.
        is_server: Clients connect to it; if not, it is a client to be connected to.
        reconnect_ms: Connect again that long after the connection was lost; 0 is never.
        nodelay: Small messages over TCP go out at once.
        pretty: Messages are indented.
    """

    address: SocketAddress | Stdio
    is_server: bool = True
    reconnect_ms: int = 0
    nodelay: bool = True
    pretty: bool = False


class Listener:
    """Accept clients on listening sockets.

    Args:
        endpoint: Where.
        monitor: Who serves them.
        clock: What to wait by.
    """

    def __init__(self, endpoint: Endpoint, monitor: Monitor, clock: Clock) -> None:
        self._endpoint = endpoint
        self._monitor = monitor
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        self._file: tuple[int, int] | None = None
        self._retry: Timer | None = None
        self._first_client = asyncio.Event()

    async def open(self) -> None:
        """Listen.

        Raises:
            QMPError: It cannot be done.
        """
        address = self._endpoint.address
        assert not isinstance(address, Stdio)
        self._sockets = sockets.listen(address)
        if isinstance(address, UnixAddress) and not address.is_abstract:
            self._file = _identity(address.path)
        self._watch()

    async def first_client(self) -> None:
        """Wait until a client has come."""
        await self._first_client.wait()

    @property
    def names(self) -> list[object]:
        """What the sockets are bound to, as the socket module shows it; the port that was chosen."""
        return [listening.getsockname() for listening in self._sockets]

    def _watch(self) -> None:
        self._retry = None
        for listening in self._sockets:
            self._loop.add_reader(listening.fileno(), self._accept, listening)

    def _unwatch(self) -> None:
        for listening in self._sockets:
            self._loop.remove_reader(listening.fileno())

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                connection, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._cannot_accept(error)
                return
            self._serve(connection)

    def _cannot_accept(self, error: OSError) -> None:
        """Try again later, rather than at once for ever."""
        self._monitor.log.error("cannot accept a client", reason=error_text(error))
        if error.errno in _OUT_OF_DESCRIPTORS:
            self._unwatch()
            self._retry = self._clock.call_later(_RETRY_ACCEPT_NS, self._watch)

    def _serve(self, connection: socket.socket) -> None:
        _attach(self._monitor, self._endpoint, connection)
        self._first_client.set()

    async def close(self) -> None:
        """Listen no more; a UNIX socket's file is removed if it is still ours.  Clients stay."""
        if self._retry is None:
            self._unwatch()
        else:
            self._retry.cancel()
        for listening in self._sockets:
            listening.close()
        self._sockets = []
        address = self._endpoint.address
        if isinstance(address, UnixAddress) and self._file and _identity(address.path) == self._file:
            with contextlib.suppress(OSError):
                os.unlink(address.path)


class Connector:
    """Be a client's server by connecting to it, and again when it was lost.

    Args:
        endpoint: Where the client listens, or a connected descriptor, or standard input and output.
        monitor: Who serves it.
        clock: What to wait by.
    """

    def __init__(self, endpoint: Endpoint, monitor: Monitor, clock: Clock) -> None:
        self._endpoint = endpoint
        self._monitor = monitor
        self._clock = clock
        self._reconnecting: asyncio.Task[None] | None = None
        self._is_closed = False

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
            case Stdio():
                peer = Peer(uid=os.getuid())
                self._monitor.attach(StdioChannel(), peer, pretty=self._endpoint.pretty)
            case FdAddress(fd):
                _attach(self._monitor, self._endpoint, sockets.socket_of(fd))
            case UnixAddress() | TcpAddress() as address:
                _attach(self._monitor, self._endpoint, await _connect_to(address), self._on_end)

    def _on_end(self) -> None:
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


async def open_door(endpoint: Endpoint, monitor: Monitor, clock: Clock) -> Door:
    """Open the way for clients; who must wait for one calls the door's `first_client` next.

    Raises:
        QMPError: It cannot be done.
    """
    is_server = endpoint.is_server and not isinstance(endpoint.address, Stdio)
    door: Door = (Listener if is_server else Connector)(endpoint, monitor, clock)
    await door.open()
    return door


async def _connect_to(address: UnixAddress | TcpAddress) -> socket.socket:
    loop = asyncio.get_running_loop()
    shown = f"'{address.path}'" if isinstance(address, UnixAddress) else f"'{address.host}:{address.port}'"
    last_error = OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
    for candidate, name in sockets.candidates(address):
        try:
            await loop.sock_connect(candidate, name)  # type: ignore[arg-type]
        except OSError as error:
            candidate.close()
            last_error = error
        except asyncio.CancelledError:
            candidate.close()
            raise
        else:
            return candidate
    raise QMPError(f"Failed to connect to {shown}: {error_text(last_error)}") from last_error


def _attach(
    monitor: Monitor,
    endpoint: Endpoint,
    connection: socket.socket,
    on_end: Callable[[], object] | None = None,
) -> None:
    if endpoint.nodelay and connection.family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer = sockets.peer_of(connection)
    monitor.attach(SocketChannel(connection), peer, pretty=endpoint.pretty, on_end=on_end)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
