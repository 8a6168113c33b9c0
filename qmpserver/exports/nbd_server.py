"""Listen for NBD clients and let them in."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from qmpserver import sockets
from qmpserver.clock import Clock, Timer
from qmpserver.errors import QMPError, error_text
from qmpserver.exports.nbd_connection import NbdConnection
from qmpserver.exports.nbd_export import NbdExport
from qmpserver.exports.tls import TlsServer
from qmpserver.log import get_logger
from qmpserver.nbd.export_info import ExportInfo
from qmpserver.nbd.server_handshake import ServerHandshake
from qmpserver.sockets import SocketAddress, UnixAddress
from qmpserver.units import NS_PER_SECOND

DEFAULT_MAX_CONNECTIONS: Final = 100
DEFAULT_HANDSHAKE_S: Final = 10

_ACCEPTS_PER_TURN: Final = 16
_RETRY_ACCEPT_NS: Final = NS_PER_SECOND // 10


@dataclass(frozen=True, slots=True)
class NbdServerOptions:
    """How to serve.

    Attributes:
        address: Where to listen.
        max_connections: Clients at a time; further ones wait to be let in.  0 is no limit.
        handshake_s: Seconds a client has until it has chosen an export; 0 is no limit.
        tls: How to encrypt; nobody is served in the clear then.
    """

    address: SocketAddress
    max_connections: int = DEFAULT_MAX_CONNECTIONS
    handshake_s: int = DEFAULT_HANDSHAKE_S
    tls: TlsServer | None = None


class NbdServer:
    """Serves exports to clients over one address.

    Args:
        options: How.
        clock: What to wait by.
    """

    def __init__(self, options: NbdServerOptions, clock: Clock) -> None:
        self.options = options
        self.log = get_logger("nbd")
        self._clock = clock
        self._exports: dict[str, NbdExport] = {}
        self._connections: set[NbdConnection] = set()
        self._sockets: list[socket.socket] = []
        self._file: tuple[str, os.stat_result] | None = None
        self._is_accepting = False
        self._loop = asyncio.get_running_loop()

    def open(self) -> None:
        """Listen.

        Raises:
            QMPError: It cannot be done.
        """
        address = self.options.address
        self._sockets = sockets.listen(address)
        if isinstance(address, UnixAddress) and not address.is_abstract:
            self._file = (os.path.abspath(address.path), os.lstat(address.path))
        self._accept_again()

    @property
    def addresses(self) -> list[object]:
        """What the sockets are bound to, as the socket module shows it."""
        return [listening.getsockname() for listening in self._sockets]

    @property
    def connections(self) -> int:
        """How many clients there are."""
        return len(self._connections)

    def close(self) -> None:
        """Listen no more and part with all clients; the exports stay."""
        self._stop_accepting()
        for listening in self._sockets:
            listening.close()
        self._sockets.clear()
        if self._file is not None:
            name, made = self._file
            with contextlib.suppress(OSError):
                if os.path.samestat(os.lstat(name), made):
                    os.unlink(name)
        for connection in tuple(self._connections):
            connection.close()

    # Exports

    def check_new_name(self, name: str) -> None:
        """Refuse a name that is taken.

        Raises:
            QMPError: With QEMU's text.
        """
        if name in self._exports:
            raise QMPError(f"NBD server already has export named '{name}'", code="exists", export=name)

    def add(self, export: NbdExport) -> None:
        """Offer an export."""
        self._exports[export.name] = export

    def withdraw(self, export: NbdExport) -> None:
        """Offer an export no more; who uses it goes on."""
        self._exports.pop(export.name, None)

    def find_export(self, name: str) -> NbdExport | None:
        """Return the export of that name, or None."""
        return self._exports.get(name)

    def names(self) -> list[tuple[str, str]]:
        """Return the names of all exports, newest first, each with its description."""
        return [(export.name, export.description) for export in reversed(self._exports.values())]

    def find(self, name: str) -> ExportInfo | None:
        """Return what a handshake tells of an export, or None when there is none."""
        export = self._exports.get(name)
        return None if export is None else export.info

    # What a connection needs

    def handshake(self) -> ServerHandshake:
        """Return a new client's handshake."""
        has_tls = self.options.tls is not None
        return ServerHandshake(self, offers_tls=has_tls, requires_tls=has_tls)

    @property
    def tls(self) -> TlsServer:
        """How to encrypt."""
        assert self.options.tls is not None
        return self.options.tls

    def call_later_for_handshake(self, callback: Callable[[], object]) -> Timer | None:
        """Call back when a handshake has taken too long; None when it may take any time."""
        seconds = self.options.handshake_s
        return self._clock.call_later(seconds * NS_PER_SECOND, callback) if seconds else None

    def forget(self, connection: NbdConnection) -> None:
        """Take note that a client has gone; another may come in its place."""
        self._connections.discard(connection)
        if self._sockets:
            self._accept_again()

    # Clients

    @property
    def _is_full(self) -> bool:
        limit = self.options.max_connections
        return bool(limit) and len(self._connections) >= limit

    def _accept_again(self) -> None:
        if not self._is_accepting and not self._is_full:
            self._is_accepting = True
            for listening in self._sockets:
                self._loop.add_reader(listening.fileno(), self._accept, listening)

    def _stop_accepting(self) -> None:
        if self._is_accepting:
            self._is_accepting = False
            for listening in self._sockets:
                self._loop.remove_reader(listening.fileno())

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            if self._is_full:
                # The others wait in the kernel's queue until somebody goes.
                self._stop_accepting()
                return
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
        self.log.error("cannot accept an nbd client", reason=error_text(error))
        self._stop_accepting()
        self._clock.call_later(_RETRY_ACCEPT_NS, self._accept_again_if_open)

    def _accept_again_if_open(self) -> None:
        if self._sockets:
            self._accept_again()

    def _serve(self, connection: socket.socket) -> None:
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        served = NbdConnection(self, connection)
        self._connections.add(served)
        served.start()
