"""Send over a socket that does not block, now or as soon as the other side reads, without copying."""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final

from qmpserver.file_range import FileRange
from qmpserver.sent_files import SentFiles

MAX_PIECES: Final = 512
"""Pieces handed to the kernel by one call."""

_JOINED: Final = 4096
"""Pieces that are no more bytes together are sent as one: to copy them takes less than to name them to the kernel."""

BLOCKED: Final = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""What a socket that does not block raises when there is nothing to read, or no room to write."""

Piece = bytes | bytearray | memoryview | FileRange
"""What is sent; ranges of files only over UNIX sockets, and unencrypted."""


class SocketWriter:
    """Holds what one socket has not taken yet.

    Args:
        connection: A socket that does not block; it stays the caller's.
        on_drained: Called when everything has been sent after the socket was full.
        on_lost: Called, never from inside :meth:`send`, when nothing can be sent any more.
        on_sent: Called with the rest of each piece when the socket has taken all of it; short pieces may be joined.
    """

    def __init__(
        self,
        connection: socket.socket,
        on_drained: Callable[[], object],
        on_lost: Callable[[OSError], object],
        on_sent: Callable[[bytes | bytearray | memoryview], object] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = connection
        self._fd = connection.fileno()
        self._is_encrypted = isinstance(connection, ssl.SSLSocket)
        self._on_drained = on_drained
        self._on_lost = on_lost
        self._on_sent = on_sent
        self._pieces: deque[memoryview | FileRange] = deque()
        self._sent_files = SentFiles(self._fd)
        self._is_watching = False
        self._is_closed = False

    @property
    def is_blocked(self) -> bool:
        """Whether something waits for the other side to read."""
        return bool(self._pieces)

    def send(self, pieces: Sequence[Piece]) -> None:
        """Send pieces one after the other; their memory stays lent until the socket has taken them."""
        if not (self._pieces or self._is_closed or self._is_encrypted) and self._send_at_once(pieces):
            return
        self._pieces.extend([_as_held(piece) for piece in _join(pieces) if piece])
        if self._is_closed:
            self._forget()
        elif not self._is_watching:
            self._write()

    def _send_at_once(self, pieces: Sequence[Piece]) -> bool:
        """Try to send pieces of memory by one call, which is all that most replies take, and say whether they are seen to."""
        joined: Sequence[Any] = _join(pieces)
        if not joined or len(joined) > MAX_PIECES or FileRange in map(type, joined):
            return False
        try:
            sent = self._socket.send(joined[0]) if len(joined) == 1 else self._socket.sendmsg(joined)
        except OSError:
            # It will show again.
            return False
        if sent < sum(map(len, joined)):
            held = [memoryview(piece) for piece in joined]
            self._pieces.extend(held)
            self._consume(held, sent)
            self._write()
            return True
        self._sent_files.note(sent)
        if self._on_sent is not None:
            for piece in joined:
                self._on_sent(piece)
        return True

    def close(self) -> None:
        """Forget what has not been sent.  The socket must still be open."""
        self._is_closed = True
        self._forget()
        if self._is_watching:
            self._is_watching = False
            self._loop.remove_writer(self._fd)

    def _forget(self) -> None:
        for piece in self._pieces:
            if isinstance(piece, FileRange):
                piece.release()
        self._pieces.clear()
        self._sent_files.close()

    def _write(self) -> None:
        try:
            while self._pieces:
                self._write_some()
        except BLOCKED:
            if not self._is_watching:
                self._is_watching = True
                self._loop.add_writer(self._fd, self._write)
            return
        except OSError as error:
            self.close()
            # Not from here: the caller may be in the middle of something.
            self._loop.call_soon(self._on_lost, error)
            return
        if self._is_watching:
            self._is_watching = False
            self._loop.remove_writer(self._fd)
            self._on_drained()

    def _write_some(self) -> None:
        first = self._pieces[0]
        if isinstance(first, FileRange):
            self._sent_files.note(first.send(self._fd))
            if not first:
                self._pieces.popleft()
                self._sent_files.hold(first)
        elif len(self._pieces) == 1 or self._is_encrypted:
            self._consume([first], self._socket.send(first))
        else:
            pieces = self._in_memory()
            self._consume(pieces, self._socket.sendmsg(pieces))

    def _in_memory(self) -> list[memoryview]:
        """Return the first pieces, up to one that lies in a file."""
        found: list[memoryview] = []
        for piece in islice(self._pieces, MAX_PIECES):
            if isinstance(piece, FileRange):
                break
            found.append(piece)
        return found

    def _consume(self, pieces: Sequence[memoryview], sent: int) -> None:
        """Take note of how many bytes of the first pieces have been sent."""
        self._sent_files.note(sent)
        for piece in pieces:
            if sent < len(piece):
                self._pieces[0] = piece[sent:]
                return
            sent -= len(piece)
            self._pieces.popleft()
            if self._on_sent is not None:
                self._on_sent(piece)


def _as_held(piece: Piece) -> memoryview | FileRange:
    return piece if isinstance(piece, FileRange) else memoryview(piece)


def _join(pieces: Sequence[Piece]) -> Sequence[Piece]:
    """Return several short pieces as one."""
    if len(pieces) > 1 and sum(map(len, pieces)) <= _JOINED:
        memory = [piece for piece in pieces if not isinstance(piece, FileRange)]
        if len(memory) == len(pieces):
            return (b"".join(memory),)
    return pieces
