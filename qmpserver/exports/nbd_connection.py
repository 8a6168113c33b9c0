"""Carry one NBD client: its handshake, then its requests, several at once.

A request that need not wait never becomes a task; requests that arrive together are answered
together; a payload is read to where it stays, and is not copied on the way to the disk.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from qmpserver import recycling, tasks
from qmpserver.clock import Timer
from qmpserver.errors import error_text
from qmpserver.exports.nbd_export import NbdExport
from qmpserver.exports.nbd_requests import Reply, RequestServer
from qmpserver.exports.tls import TlsServer
from qmpserver.log import Logger
from qmpserver.nbd.constants import Command
from qmpserver.nbd.request_buffer import BUFFER, RequestBuffer
from qmpserver.nbd.server_handshake import Negotiated, ServerHandshake, Turn
from qmpserver.nbd.server_requests import Request
from qmpserver.nbd.wire import ProtocolError
from qmpserver.polling import BusyPoll
from qmpserver.socket_writer import BLOCKED, SocketWriter

MAX_IN_FLIGHT: Final = 64
"""Requests of one client that are carried out at the same time."""

MAX_IN_FLIGHT_BYTES: Final = 64 << 20
"""Bytes that these read and write together; one request may be larger by itself."""

BYTES_PER_TURN: Final = 2 << 20
"""Bytes that one client's requests move before others have their turn."""

_SENT_AT_ONCE: Final = 64 << 10
"""The reply to a request of so many bytes does not wait for others to be sent with it."""

_LEAST_COST: Final = 512
"""What a request costs of a turn at least, in bytes."""


class Host(Protocol):
    """What a connection needs of its server."""

    log: Logger
    busy_poll: BusyPoll

    def handshake(self) -> ServerHandshake:
        """Return a new client's handshake."""

    def find_export(self, name: str) -> NbdExport | None:
        """Return the export of that name."""

    @property
    def tls(self) -> TlsServer:
        """How to encrypt."""

    def call_later_for_handshake(self, callback: Callable[[], object]) -> Timer | None:
        """Call back when a handshake has taken too long; None when it may take any time."""

    def forget(self, connection: "NbdConnection") -> None:
        """Take note that a client has gone."""


class NbdConnection:
    """One client.

    Args:
        host: The server.
        connection: A connected socket, which is the connection's from now on.
    """

    def __init__(self, host: Host, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._fd = connection.fileno()
        self._use_socket(connection)
        self._handshake: ServerHandshake | None = host.handshake()
        self._deadline = host.call_later_for_handshake(self._handshake_took_too_long)
        self._is_tls_starting = False
        self._export: NbdExport | None = None
        self._server: RequestServer | None = None
        self._input: RequestBuffer | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._finished: Reply = []
        self._in_flight = 0
        self._in_flight_bytes = 0
        self._is_reading = False
        self._is_turn_due = False
        self._has_ended = False
        self._has_taken_leave = False
        self._is_closed = False

    def start(self) -> None:
        """Greet the client and listen to it."""
        assert self._handshake is not None
        self._output.send([self._handshake.greeting()])
        self._resume_reading()

    @property
    def has_chosen(self) -> bool:
        """Whether the client has come as far as choosing an export."""
        return self._export is not None

    def close(self) -> None:
        """Break the connection; requests under way end, and nobody hears of it."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._deadline is not None:
            self._deadline.cancel()
        self._pause_reading()
        self._output.close()
        if self._is_tls_starting:
            self._loop.remove_writer(self._fd)
        self._socket.close()
        if self._export is not None:
            self._export.leave(self)
        self._host.forget(self)

    def _use_socket(self, connection: socket.socket) -> None:
        self._socket = connection
        self._tls = connection if isinstance(connection, ssl.SSLSocket) else None
        self._output = SocketWriter(connection, self._take_turn, self._lose, recycling.give_back)

    def _handshake_took_too_long(self) -> None:
        self._host.log.info("nbd client took too long over its handshake")
        self.close()

    def _lose(self, error: OSError) -> None:
        self._host.log.debug("nbd client lost", reason=_reason(error))
        self.close()

    # Input

    def _resume_reading(self) -> None:
        if not self._is_reading and not self._is_closed and not self._has_ended:
            self._is_reading = True
            self._loop.add_reader(self._fd, self._readable)

    def _pause_reading(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self._loop.remove_reader(self._fd)

    def _readable(self) -> None:
        if not self._is_reading:
            return
        if self._is_tls_starting:
            self._shake_hands_for_tls()
            return
        try:
            count = self._receive()
        except BLOCKED:
            return
        except OSError as error:
            self._lose(error)
            return
        if count:
            self._host.busy_poll.received()
            self._take_turn()
        else:
            self._end_input()
            self._close_when_done()

    def _receive(self) -> int:
        """Read what there is; return how many bytes, 0 at the end."""
        if self._input is not None:
            count = self._socket.recv_into(self._input.room())
            self._input.received(count)
            return count
        assert self._handshake is not None
        data = self._socket.recv(BUFFER)
        self._handshake.feed(data)
        return len(data)

    def _end_input(self) -> None:
        self._has_ended = True
        self._pause_reading()

    # Turns

    def _take_turn(self) -> None:
        """Deal with what has come, within bounds, and send all replies at once."""
        self._is_turn_due = False
        if self._is_closed:
            return
        try:
            if self._input is None:
                self._negotiate()
            if self._input is not None:
                out, self._finished = self._finished, []
                try:
                    self._run_requests(self._input, out)
                finally:
                    if out:
                        self._output.send(out)
                        self._host.busy_poll.replied()
                    elif self._input.is_filling:
                        self._host.busy_poll.cut_short()
        except ProtocolError as error:
            self._host.log.info("nbd client cut off", reason=str(error))
            self.close()
        self._settle()

    def _settle(self) -> None:
        """Read on or not."""
        if self._is_closed:
            return
        if self._is_turn_due or self._is_full():
            self._pause_reading()
        else:
            if not self._is_reading:
                self._resume_reading()
            if self._tls is not None and not self._is_tls_starting and self._tls.pending():
                # More is there to read though the socket itself has been read to its end.
                self._loop.call_soon(self._readable)
        if self._has_ended:
            self._close_when_done()

    def _is_full(self) -> bool:
        """Whether nothing more is begun for now: a client that does not read gets no more to read."""
        if self._output.is_blocked:
            return True
        in_flight = self._in_flight
        return in_flight > 0 and (in_flight >= MAX_IN_FLIGHT or self._in_flight_bytes >= MAX_IN_FLIGHT_BYTES)

    def _close_when_done(self) -> None:
        if self._has_ended and not (self._in_flight or self._output.is_blocked or self._is_turn_due):
            self.close()

    # Handshake

    def _negotiate(self) -> None:
        handshake = self._handshake
        assert handshake is not None
        while not (self._output.is_blocked or self._is_tls_starting or self._is_closed):
            item = handshake.next()
            if item is None:
                return
            if isinstance(item, bytes):
                self._output.send([item])
            elif isinstance(item, Negotiated):
                self._begin_transmission(item, handshake.leftover())
                return
            elif item is Turn.START_TLS:
                self._start_tls()
            else:
                self._end_input()
                return

    def _begin_transmission(self, negotiated: Negotiated, leftover: bytes) -> None:
        export = self._host.find_export(negotiated.export.name)
        if export is None or export.is_shutting_down:
            raise ProtocolError("the export has gone")
        self._handshake = None
        if self._deadline is not None:
            self._deadline.cancel()
        self._export = export
        export.enter(self)
        # Of other sockets it is not known when somebody has read what they have taken; and TLS needs it in memory.
        sends_files = self._socket.family == socket.AF_UNIX and self._tls is None
        self._server = RequestServer(export, negotiated, sends_files=sends_files)
        self._input = RequestBuffer(negotiated.mode, leftover)

    def _start_tls(self) -> None:
        self._pause_reading()
        self._output.close()
        encrypted = self._host.tls.context.wrap_socket(
            self._socket, server_side=True, do_handshake_on_connect=False
        )
        self._use_socket(encrypted)
        self._is_tls_starting = True
        self._shake_hands_for_tls()

    def _shake_hands_for_tls(self) -> None:
        assert self._tls is not None
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._resume_reading()
            return
        except ssl.SSLWantWriteError:
            self._loop.add_writer(self._fd, self._retry_tls)
            return
        except OSError as error:
            self._host.log.info("nbd client failed at TLS", reason=_reason(error))
            self.close()
            return
        self._is_tls_starting = False
        if not self._host.tls.admits_peer(self._tls):
            self._host.log.info("nbd client not authorized")
            self.close()
            return
        self._settle()

    def _retry_tls(self) -> None:
        self._loop.remove_writer(self._fd)
        self._shake_hands_for_tls()

    # Requests

    def _run_requests(self, requests: RequestBuffer, out: Reply) -> None:
        """Run what has come whole, until this client has had its share."""
        if self._has_taken_leave or self._is_full():
            return
        moved = 0
        while (request := requests.take()) is not None:
            if request.command == _DISC:
                self._has_taken_leave = True
                self._end_input()
                return
            bytes_moved = _bytes_moved(request)
            moved += bytes_moved + _LEAST_COST
            self._run(request, out)
            if bytes_moved >= _SENT_AT_ONCE:
                # While it is in the processor's cache, and its memory serves the next.
                self._output.send(out)
                out.clear()
            if moved >= BYTES_PER_TURN:
                self._take_turn_soon()
                return
            # Only what is on its way, or was sent just now, can be too much by now.
            if (self._in_flight or not out) and self._is_full():
                return

    def _take_turn_soon(self) -> None:
        if not self._is_turn_due:
            self._is_turn_due = True
            self._loop.call_soon(self._take_turn)

    def _run(self, request: Request, out: Reply) -> None:
        assert self._server is not None
        problem = self._server.problem_of(request)
        if problem is not None:
            out += self._server.refuse(request, problem)
            return
        try:
            reply = self._server.serve_at_once(request)
            out += tasks.step(self._server.serve(request)) if reply is None else reply
        except tasks.Pending as pending:
            self._run_on(request, pending.rest)
        except Exception as error:  # noqa: BLE001 - here a request ends
            self._fail(error)

    def _run_on(self, request: Request, rest: Coroutine[Any, Any, Reply]) -> None:
        """Let a request that waits for something go on by itself."""
        assert self._export is not None
        assert self._input is not None
        self._input.lend()
        self._in_flight += 1
        self._in_flight_bytes += _bytes_moved(request)
        task = tasks.spawn(self._tasks, self._finish(request, rest))
        self._export.in_flight.add(task)
        task.add_done_callback(self._export.in_flight.discard)

    async def _finish(self, request: Request, rest: Coroutine[Any, Any, Reply]) -> None:
        try:
            reply = await rest
        except Exception as error:  # noqa: BLE001 - here a request ends
            self._fail(error)
            return
        finally:
            self._in_flight -= 1
            self._in_flight_bytes -= _bytes_moved(request)
        # Together with those of others that end in the same turn of the loop.
        self._finished += reply
        self._take_turn_soon()

    def _fail(self, error: Exception) -> None:
        """Part with a client of whose request nobody knows what became."""
        self._host.log.error("nbd request failed", exc_info=error)
        self.close()


_DISC: Final = Command.DISC.value
_MOVING: Final = frozenset((Command.READ, Command.WRITE))


def _bytes_moved(request: Request) -> int:
    """Return the bytes that a request occupies while it is carried out."""
    return request.length if request.command in _MOVING else request.payload


def _reason(error: OSError) -> str:
    return str(error) if isinstance(error, ssl.SSLError) else error_text(error)
