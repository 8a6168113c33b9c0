"""Carry one connection to an NBD server that has chosen its export: many requests at once."""

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Final

from qmpserver.nbd import client_replies, wire
from qmpserver.nbd.client_handshake import Agreed
from qmpserver.nbd.client_replies import Chunk, ReplyReader, RequestWriter
from qmpserver.nbd.constants import ChunkType, Command, CommandFlag, errno_of
from qmpserver.nbd.wire import ProtocolError
from qmpserver.socket_writer import BLOCKED, SocketWriter

BUFFER: Final = 256 << 10
"""Bytes taken from the socket at once."""

DIRECT: Final = 16 << 10
"""What is at least so long is read to where it stays."""


class ConnectionLost(OSError):
    """Report that nobody knows what became of a request, because its connection was lost.

    No ConnectionError, which a server's own refusal may be (ESHUTDOWN).
    """

    def __init__(self) -> None:
        super().__init__(errno.EIO, os.strerror(errno.EIO))


@dataclass(slots=True)
class _Pending:
    """A request whose reply has not come whole.

    Attributes:
        done: Completed when it has.
        offset: The request's.
        into: Where a read's data goes.
        missing: Bytes of it that the server has told nothing of.
        extents: What a request for block status was told, by context.
        error: Why it failed; the first reason that was told.
    """

    done: asyncio.Future[None]
    offset: int
    into: memoryview
    missing: int
    extents: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    error: OSError | None = None


class NbdConnection:
    """A connection that has chosen its export.

    Args:
        connection: The socket, which is the connection's from now on.
        agreed: What was agreed on.
        leftover: What was read beyond the handshake.

    Attributes:
        agreed: As given.
        lost: Completed when the connection is of no use any more.
        heard: How often the server has said something.
    """

    def __init__(self, connection: socket.socket, agreed: Agreed, leftover: bytes) -> None:
        self.agreed = agreed
        self._socket = connection
        self._fd = connection.fileno()
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self._writer = RequestWriter(agreed.mode)
        self._reader = ReplyReader(agreed.mode)
        self._pending: dict[int, _Pending] = {}
        self._last_cookie = 0
        self._output = SocketWriter(connection, _nothing, lambda _: self._lose())
        self._buffer = memoryview(bytearray(BUFFER))
        self._start = 0
        self._end = len(leftover)
        self._buffer[: self._end] = leftover
        self._parser = self._parse()
        self._target = next(self._parser)
        self._filled = 0
        self.heard = 0
        self._loop.add_reader(self._fd, self._readable)

    @property
    def is_waiting(self) -> bool:
        """Whether a request has not been answered yet."""
        return bool(self._pending)

    # Requests

    async def request(
        self,
        command: Command,
        offset: int,
        length: int,
        *,
        flags: CommandFlag = CommandFlag.NONE,
        data: memoryview | None = None,
        into: memoryview | None = None,
    ) -> dict[int, list[tuple[int, int]]]:
        """Send a request and wait for its reply.

        Args:
            command: What to do.
            offset: First byte.
            length: Bytes concerned.
            flags: How to do it.
            data: What to write.
            into: Where a read's data goes; some may be there although the read failed.

        Returns:
            What a request for block status was told, by context.

        Raises:
            ConnectionLost: Nobody knows what became of the request.
            OSError: The server refused it.
        """
        if self.lost.done():
            raise ConnectionLost
        self._last_cookie += 1
        cookie = self._last_cookie
        into = into if into is not None else _NOWHERE
        pending = _Pending(self._loop.create_future(), offset, into, len(into))
        self._pending[cookie] = pending
        line = self._writer.write(command, cookie, offset, length, flags)
        self._output.send((line,) if data is None else (line, data))
        # A reply that nobody waits for any more still goes where it was to go: the memory must stay lent.
        await _finish(pending.done)
        if pending.error is not None:
            raise pending.error
        return pending.extents

    def close(self, *, politely: bool = False) -> None:
        """End the connection; requests under way fail."""
        if self.lost.done():
            return
        if politely and not self._output.is_blocked:
            with contextlib.suppress(OSError):
                self._socket.send(self._writer.write(Command.DISC, 0))
        self._lose()

    # Input

    def _readable(self) -> None:
        try:
            while True:
                if not self._receive():
                    self._lose()
                    return
                self._advance()
                if not (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
                    return
        except BLOCKED:
            return
        except (OSError, ProtocolError):
            self._lose()

    def _receive(self) -> int:
        """Read what there is: to where it stays when that is long, else to the buffer."""
        self.heard += 1
        wanted = len(self._target) - self._filled
        if self._start == self._end and wanted >= DIRECT:
            count = self._socket.recv_into(self._target[self._filled :])
            self._filled += count
            return count
        if self._start == self._end:
            self._start = self._end = 0
        elif self._end == BUFFER:
            rest = bytes(self._buffer[self._start : self._end])
            self._buffer[: len(rest)] = rest
            self._start, self._end = 0, len(rest)
        count = self._socket.recv_into(self._buffer[self._end :])
        self._end += count
        return count

    def _advance(self) -> None:
        """Give the parser what it wants, for as long as that is there."""
        while True:
            taken = min(len(self._target) - self._filled, self._end - self._start)
            self._target[self._filled : self._filled + taken] = self._buffer[
                self._start : self._start + taken
            ]
            self._start += taken
            self._filled += taken
            if self._filled < len(self._target):
                return
            self._target, self._filled = next(self._parser), 0

    def _parse(self) -> Generator[memoryview, None, None]:
        """Take replies apart; yields memory that is to be filled with what comes next.

        Raises:
            ProtocolError: The server does not keep to the protocol.
        """
        while True:
            magic = bytearray(4)
            yield memoryview(magic)
            header = bytearray(self._reader.header_size(int.from_bytes(magic, "big")))
            header[:4] = magic
            yield memoryview(header)[4:]
            chunk = self._reader.read(bytes(header))
            pending = self._pending.get(chunk.cookie)
            if pending is None:
                raise ProtocolError("Reply to no request")
            yield from self._take_content(chunk, pending)
            if chunk.is_last:
                del self._pending[chunk.cookie]
                if pending.missing > 0:
                    pending.error = pending.error or OSError(errno.EIO, os.strerror(errno.EIO))
                pending.done.set_result(None)

    def _take_content(self, chunk: Chunk, pending: _Pending) -> Generator[memoryview, None, None]:
        if chunk.kind is None:
            if chunk.error:
                pending.error = pending.error or _error(chunk.error)
            elif pending.into:
                yield _part(pending, pending.offset, len(pending.into))
        elif chunk.kind == ChunkType.OFFSET_DATA:
            place = bytearray(wire.U64.size)
            if chunk.length <= len(place):
                raise ProtocolError("Data chunk without data")
            yield memoryview(place)
            yield _part(pending, int.from_bytes(place, "big"), chunk.length - len(place))
        elif chunk.length:
            content = bytearray(chunk.length)
            yield memoryview(content)
            _apply(chunk.kind, bytes(content), pending)

    # The end

    def _lose(self) -> None:
        if self.lost.done():
            return
        self._loop.remove_reader(self._fd)
        self._output.close()
        self._socket.close()
        self.lost.set_result(None)
        for pending in self._pending.values():
            pending.error = pending.error or ConnectionLost()
            if not pending.done.done():
                pending.done.set_result(None)
        self._pending.clear()


_NOWHERE: Final = memoryview(bytearray())


def _nothing() -> None:
    """Do nothing: requests are held back by nobody, so nobody waits for the socket to be drained."""


def _part(pending: _Pending, offset: int, length: int) -> memoryview:
    start = offset - pending.offset
    if start < 0 or start + length > len(pending.into):
        raise ProtocolError("Data that was not asked for")
    pending.missing -= length
    return pending.into[start : start + length]


def _apply(kind: int, content: bytes, pending: _Pending) -> None:
    """Take note of what a chunk says."""
    if client_replies.is_error(kind):
        error, text = client_replies.read_error(content)
        pending.error = pending.error or _error(error, text)
    elif kind == ChunkType.OFFSET_HOLE:
        part = _part(pending, *client_replies.read_hole(content))
        part[:] = bytes(len(part))
    elif kind in (ChunkType.BLOCK_STATUS, ChunkType.BLOCK_STATUS_EXT):
        context, extents = client_replies.read_block_status(kind, content)
        pending.extents[context] = extents
    else:
        raise ProtocolError(f"Chunk of type {kind}")


def _error(error: int, text: str = "") -> OSError:
    number = errno_of(error)
    del text
    return OSError(number, os.strerror(number))


async def _finish(done: asyncio.Future[None]) -> None:
    """Wait to the end, even when cancelled meanwhile."""
    cancelled = False
    while not done.done():
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
