"""Carry one NBD client: its handshake, then its requests, several at once.

A request that need not wait never becomes a task; requests that arrive together are answered
together; a payload is read to where it stays, and is not copied on the way to the disk.
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from qmpserver import tasks
from qmpserver.clock import Timer
from qmpserver.errors import error_text
from qmpserver.exports.nbd_export import NbdExport
from qmpserver.exports.nbd_requests import Reply, RequestServer
from qmpserver.exports.tls import TlsServer
from qmpserver.log import Logger
from qmpserver.nbd.constants import Command
from qmpserver.nbd.server_handshake import Negotiated, ServerHandshake, Turn
from qmpserver.nbd.server_requests import Request, RequestReader
from qmpserver.nbd.wire import ProtocolError

BUFFER: Final = 256 << 10
"""Bytes taken from the socket at once."""

MAX_IN_FLIGHT: Final = 64
"""Requests of one client that are carried out at the same time."""

MAX_IN_FLIGHT_BYTES: Final = 64 << 20
"""Bytes that these read and write together; one request may be larger by itself."""

BYTES_PER_TURN: Final = 2 << 20
"""Bytes that one client's requests move before others have their turn."""

MAX_PIECES: Final = 512
"""Pieces handed to the kernel by one call."""

_BLOCKED: Final = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Host(Protocol):
    """What a connection needs of its server."""

    log: Logger

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
        self._socket = connection
        self._fd = connection.fileno()
        self._handshake: ServerHandshake | None = host.handshake()
        self._deadline = host.call_later_for_handshake(self._handshake_took_too_long)
        self._is_tls_starting = False
        self._export: NbdExport | None = None
        self._server: RequestServer | None = None
        self._reader: RequestReader | None = None
        self._input = bytearray(BUFFER)
        self._view = memoryview(self._input)
        self._start = 0
        self._end = 0
        self._is_lent = False
        self._filling: tuple[Request, memoryview, int] | None = None
        self._out: deque[memoryview] = deque()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._in_flight_bytes = 0
        self._is_reading = False
        self._is_writing = False
        self._is_turn_due = False
        self._has_ended = False
        self._is_closed = False

    def start(self) -> None:
        """Greet the client and listen to it."""
        assert self._handshake is not None
        self._send([self._handshake.greeting()])
        self._resume_reading()

    def close(self) -> None:
        """Break the connection; requests under way end, and nobody hears of it."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._deadline is not None:
            self._deadline.cancel()
        self._pause_reading()
        if self._is_writing:
            self._loop.remove_writer(self._fd)
        self._out.clear()
        self._socket.close()
        if self._export is not None:
            self._export.leave(self)
        self._host.forget(self)

    def _handshake_took_too_long(self) -> None:
        self._host.log.info("nbd client took too long over its handshake")
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
        if self._is_tls_starting:
            self._shake_hands_for_tls()
            return
        try:
            count = self._receive()
        except _BLOCKED:
            return
        except (OSError, ssl.SSLError) as error:
            self._host.log.debug("nbd client lost", reason=_reason(error))
            self.close()
            return
        if not count:
            self._has_ended = True
            self._pause_reading()
            self._close_when_done()
            return
        self._take_turn()

    def _receive(self) -> int:
        """Read what there is, to where it is to stay; return how many bytes, 0 at the end."""
        if self._filling is not None:
            request, payload, filled = self._filling
            count = self._socket.recv_into(payload[filled:])
            self._filling = (request, payload, filled + count)
            return count
        self._make_room()
        count = self._socket.recv_into(self._view[self._end :])
        self._end += count
        return count

    def _make_room(self) -> None:
        """Have room behind what is there, in another buffer while requests still use this one."""
        if self._start == self._end and not self._is_lent:
            self._start = self._end = 0
            return
        if len(self._input) - self._end >= BUFFER // 2:
            return
        rest = bytes(self._view[self._start : self._end])
        if self._is_lent:
            self._input = bytearray(BUFFER)
            self._view = memoryview(self._input)
            self._is_lent = False
        self._view[: len(rest)] = rest
        self._start, self._end = 0, len(rest)

    # Turns

    def _take_turn(self) -> None:
        """Deal with what has come, within bounds, and send all replies at once."""
        self._is_turn_due = False
        if self._is_closed:
            return
        out: Reply = []
        try:
            if self._handshake is not None:
                self._negotiate(out)
            if self._handshake is None and not self._is_closed:
                self._run_requests(out)
        except ProtocolError as error:
            self._host.log.info("nbd client cut off", reason=str(error))
            self._send(out)
            self.close()
            return
        if out:
            self._send(out)
        self._settle()

    def _settle(self) -> None:
        """Read on or not."""
        if self._is_closed:
            return
        if self._is_turn_due or self._is_full or self._out:
            self._pause_reading()
        else:
            self._resume_reading()
            if (
                isinstance(self._socket, ssl.SSLSocket)
                and not self._is_tls_starting
                and self._socket.pending()
            ):
                self._loop.call_soon(self._readable)
        self._close_when_done()

    @property
    def _is_full(self) -> bool:
        return len(self._tasks) >= MAX_IN_FLIGHT or self._in_flight_bytes >= MAX_IN_FLIGHT_BYTES

    def _close_when_done(self) -> None:
        if self._has_ended and not self._tasks and not self._out and not self._is_turn_due:
            self.close()

    # Handshake

    def _negotiate(self, out: Reply) -> None:
        handshake = self._handshake
        assert handshake is not None
        handshake.feed(bytes(self._view[self._start : self._end]))
        self._start = self._end = 0
        while (item := handshake.next()) is not None:
            if isinstance(item, bytes):
                out.append(item)
            elif isinstance(item, Negotiated):
                self._begin_transmission(item, handshake.leftover())
                return
            elif item is Turn.START_TLS:
                self._send(out)
                out.clear()
                self._start_tls()
                return
            else:
                self._has_ended = True
                self._pause_reading()
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
        self._server = RequestServer(export, negotiated)
        self._reader = RequestReader(negotiated.mode)
        self._view[: len(leftover)] = leftover
        self._start, self._end = 0, len(leftover)

    def _start_tls(self) -> None:
        self._pause_reading()
        if self._out:
            raise ProtocolError("client does not read before TLS")
        self._socket = self._host.tls.context.wrap_socket(
            self._socket, server_side=True, do_handshake_on_connect=False
        )
        self._is_tls_starting = True
        self._shake_hands_for_tls()

    def _shake_hands_for_tls(self) -> None:
        assert isinstance(self._socket, ssl.SSLSocket)
        try:
            self._socket.do_handshake()
        except ssl.SSLWantReadError:
            self._resume_reading()
            return
        except ssl.SSLWantWriteError:
            self._loop.add_writer(self._fd, self._retry_tls)
            return
        except (OSError, ssl.SSLError) as error:
            self._host.log.info("nbd client failed at TLS", reason=_reason(error))
            self.close()
            return
        self._is_tls_starting = False
        if not self._host.tls.admits_peer(self._socket):
            self._host.log.info("nbd client not authorized")
            self.close()
            return
        self._resume_reading()
        if self._socket.pending():
            self._readable()

    def _retry_tls(self) -> None:
        self._loop.remove_writer(self._fd)
        self._shake_hands_for_tls()

    # Requests

    def _run_requests(self, out: Reply) -> None:
        """Run what has come whole, until this client has had its share."""
        moved = 0
        while not self._is_full:
            if moved >= BYTES_PER_TURN:
                self._is_turn_due = True
                self._loop.call_soon(self._take_turn)
                return
            taken = self._take_request()
            if taken is None:
                return
            request, payload, is_lent = taken
            if request.command == Command.DISC:
                self._has_ended = True
                self._pause_reading()
                return
            moved += max(request.length, 512)
            self._run(request, payload, out, is_lent=is_lent)

    def _take_request(self) -> tuple[Request, memoryview, bool] | None:
        """Return the next request that has come whole, with its data, and whether that is in the buffer."""
        if self._filling is not None:
            request, payload, filled = self._filling
            if filled < len(payload):
                return None
            self._filling = None
            return request, payload, False
        reader = self._reader
        assert reader is not None
        start = self._start + reader.header_size
        if start > self._end:
            return None
        request = reader.read(self._view, self._start)
        length = request.payload
        if not length:
            self._start = start
            return request, _NO_DATA, False
        have = self._end - start
        if have >= length:
            self._start = start + length
            return request, self._view[start : self._start], True
        payload = memoryview(bytearray(length))
        payload[:have] = self._view[start : self._end]
        self._start = self._end = 0
        self._filling = (request, payload, have)
        return None

    def _run(self, request: Request, payload: memoryview, out: Reply, *, is_lent: bool) -> None:
        assert self._server is not None
        problem = self._server.problem_of(request, payload)
        if problem is not None:
            out += self._server.refuse(request, problem)
            return
        try:
            out += tasks.step(self._server.serve(request, payload))
        except tasks.Pending as pending:
            self._is_lent |= is_lent
            self._in_flight_bytes += request.length
            task = tasks.spawn(self._tasks, self._finish(request, pending.rest))
            assert self._export is not None
            self._export.in_flight.add(task)
            task.add_done_callback(self._export.in_flight.discard)

    async def _finish(self, request: Request, rest: Coroutine[Any, Any, Reply]) -> None:
        try:
            reply = await rest
        except Exception as error:  # noqa: BLE001 - here a request ends
            self._fail(error)
            return
        finally:
            self._in_flight_bytes -= request.length
        if self._is_closed:
            return
        self._send(reply)
        if not self._is_turn_due:
            # In the next turn of the loop, when this task counts no more.
            self._is_turn_due = True
            self._loop.call_soon(self._take_turn)

    def _fail(self, error: Exception) -> None:
        """Part with a client of whose request nobody knows what became."""
        self._host.log.error("nbd request failed", exc_info=error)
        self.close()

    # Output

    def _send(self, pieces: Reply) -> None:
        """Send, now or as soon as the client reads."""
        if self._is_closed:
            return
        self._out.extend(memoryview(piece) for piece in pieces if piece)
        if not self._is_writing:
            self._write()

    def _write(self) -> None:
        try:
            while self._out:
                self._consume(self._transmit())
        except _BLOCKED:
            if not self._is_writing:
                self._is_writing = True
                self._loop.add_writer(self._fd, self._write)
            return
        except (OSError, ssl.SSLError) as error:
            self._host.log.debug("nbd client lost", reason=_reason(error))
            # Not from here: the caller may be in the middle of something.
            self._loop.call_soon(self.close)
            self._out.clear()
            return
        if self._is_writing:
            self._is_writing = False
            self._loop.remove_writer(self._fd)
            self._take_turn()

    def _transmit(self) -> int:
        if isinstance(self._socket, ssl.SSLSocket):
            return self._socket.send(self._out[0])
        if len(self._out) == 1:
            return self._socket.send(self._out[0])
        return self._socket.sendmsg([self._out[at] for at in range(min(len(self._out), MAX_PIECES))])

    def _consume(self, sent: int) -> None:
        while sent:
            first = self._out[0]
            if sent < len(first):
                self._out[0] = first[sent:]
                return
            sent -= len(first)
            self._out.popleft()


_NO_DATA: Final = memoryview(b"")


def _reason(error: OSError) -> str:
    return str(error) if isinstance(error, ssl.SSLError) else error_text(error)
