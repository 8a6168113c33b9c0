"""Send over a socket that does not block, now or as soon as the other side reads, without copying."""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

MAX_PIECES: Final = 512
"""Pieces handed to the kernel by one call."""

_JOINED: Final = 4096
"""Pieces that are no more bytes together are sent as one: to copy them takes less than to name them to the kernel."""

BLOCKED: Final = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""What a socket that does not block raises when there is nothing to read, or no room to write."""

Piece = bytes | bytearray | memoryview


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
        on_sent: Callable[[memoryview], object] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = connection
        self._fd = connection.fileno()
        self._is_encrypted = isinstance(connection, ssl.SSLSocket)
        self._on_drained = on_drained
        self._on_lost = on_lost
        self._on_sent = on_sent
        self._pieces: deque[memoryview] = deque()
        self._is_watching = False
        self._is_closed = False

    @property
    def is_blocked(self) -> bool:
        """Whether something waits for the other side to read."""
        return bool(self._pieces)

    def send(self, pieces: Sequence[Piece]) -> None:
        """Send pieces one after the other; their memory stays lent until the socket has taken them."""
        if self._is_closed:
            return
        self._pieces.extend([memoryview(piece) for piece in _join(pieces) if piece])
        if not self._is_watching:
            self._write()

    def close(self) -> None:
        """Forget what has not been sent.  The socket must still be open."""
        self._is_closed = True
        self._pieces.clear()
        if self._is_watching:
            self._is_watching = False
            self._loop.remove_writer(self._fd)

    def _write(self) -> None:
        try:
            while self._pieces:
                self._consume(self._transmit())
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

    def _transmit(self) -> int:
        if len(self._pieces) == 1 or self._is_encrypted:
            return self._socket.send(self._pieces[0])
        return self._socket.sendmsg([self._pieces[at] for at in range(min(len(self._pieces), MAX_PIECES))])

    def _consume(self, sent: int) -> None:
        while sent:
            first = self._pieces[0]
            if sent < len(first):
                self._pieces[0] = first[sent:]
                return
            sent -= len(first)
            self._pieces.popleft()
            if self._on_sent is not None:
                self._on_sent(first)


def _join(pieces: Sequence[Piece]) -> Sequence[Piece]:
    """Return several short pieces as one."""
    return (b"".join(pieces),) if len(pieces) > 1 and sum(map(len, pieces)) <= _JOINED else pieces
