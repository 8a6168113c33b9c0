"""Listen for NBD clients and let them in."""

import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from qmpserver.clock import Clock, Timer
from qmpserver.errors import QMPError
from qmpserver.exports.nbd_connection import NbdConnection
from qmpserver.exports.nbd_export import NbdExport
from qmpserver.exports.tls import TlsServer
from qmpserver.listening import Acceptor, ListeningSockets
from qmpserver.log import get_logger
from qmpserver.nbd.constants import TransmissionFlag
from qmpserver.nbd.export_info import ExportInfo
from qmpserver.nbd.server_handshake import ServerHandshake
from qmpserver.polling import BusyPoll
from qmpserver.sockets import SocketAddress
from qmpserver.units import NS_PER_SECOND

DEFAULT_MAX_CONNECTIONS: Final = 100
DEFAULT_HANDSHAKE_S: Final = 10

_SEND_BUFFER: Final = 2 << 20


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

    Attributes:
        options: As given.
        on_last_gone: Called when a client that had chosen an export has gone, and no other is left.
    """

    def __init__(self, options: NbdServerOptions, clock: Clock) -> None:
        self.options = options
        self.on_last_gone: Callable[[], object] = lambda: None
        self.log = get_logger("nbd")
        self.busy_poll = BusyPoll()
        self._clock = clock
        self._exports: dict[str, NbdExport] = {}
        self._connections: set[NbdConnection] = set()
        self._acceptor: Acceptor | None = None

    def open(self, listening: ListeningSockets | None = None) -> None:
        """Let clients in.

        Args:
            listening: What listens at the address already, if something does; it is the server's from now on.

        Raises:
            QMPError: It cannot be done.
        """
        listening = listening or ListeningSockets(self.options.address)
        self._acceptor = Acceptor(listening, self._serve, self._clock, self.log, lambda: self._is_full)

    @property
    def addresses(self) -> list[object]:
        """What the sockets are bound to, as the socket module shows it."""
        return self._acceptor.names if self._acceptor is not None else []

    @property
    def connections(self) -> int:
        """How many clients there are."""
        return len(self._connections)

    def close(self) -> None:
        """Listen no more and part with all clients; the exports stay."""
        if self._acceptor is not None:
            self._acceptor.close()
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
        """Return the names of all exports, oldest first, each with its description."""
        return [(export.name, export.description) for export in self._exports.values()]

    def find(self, name: str) -> ExportInfo | None:
        """Return what a handshake tells of an export, or None when there is none."""
        export = self._exports.get(name)
        if export is None:
            return None
        info = export.info
        if self.options.max_connections == 1:
            # A client is promised nothing of further connections where it may have but one.
            info = replace(info, flags=info.flags & ~TransmissionFlag.CAN_MULTI_CONN)
        return info

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
        if connection.has_chosen and not self._connections:
            self.on_last_gone()
        if self._acceptor is not None:
            self._acceptor.resume()

    # Clients

    @property
    def _is_full(self) -> bool:
        limit = self.options.max_connections
        return bool(limit) and len(self._connections) >= limit

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            # A whole reply should fit; the kernel may allow less.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        served = NbdConnection(self, connection)
        self._connections.add(served)
        served.start()
