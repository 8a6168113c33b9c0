"""Listen on an address and accept who comes, for as long as somebody wants them."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable

from qmpserver import sockets
from qmpserver.clock import Clock, Timer
from qmpserver.errors import error_text
from qmpserver.log import Logger
from qmpserver.sockets import SocketAddress, UnixAddress
from qmpserver.units import NS_PER_MS

_ACCEPTS_PER_TURN = 16
_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_RETRY_ACCEPT_NS = 100 * NS_PER_MS


class ListeningSockets:
    """The sockets that listen on one address.  Who comes before they are accepted waits in the kernel's queue.

    Args:
        address: Where to listen; done at once.

    Raises:
        QMPError: It cannot be done.
    """

    def __init__(self, address: SocketAddress) -> None:
        self._sockets = sockets.listen(address)
        self._file: tuple[str, os.stat_result] | None = None
        if isinstance(address, UnixAddress) and not address.is_abstract:
            self._file = (os.path.abspath(address.path), os.lstat(address.path))

    @property
    def names(self) -> list[object]:
        """What they are bound to, as the socket module shows it; the port that was chosen."""
        return [listening.getsockname() for listening in self._sockets]

    @property
    def is_open(self) -> bool:
        """Whether they still listen."""
        return bool(self._sockets)

    def duplicates(self) -> list[int]:
        """Return copies of the descriptors, which are the caller's."""
        return [os.dup(listening.fileno()) for listening in self._sockets]

    def watch(self, callback: Callable[[socket.socket], object]) -> None:
        """Call back with a socket whenever somebody may be accepted from it."""
        loop = asyncio.get_running_loop()
        for listening in self._sockets:
            loop.add_reader(listening.fileno(), callback, listening)

    def unwatch(self) -> None:
        """Call back no more; harmless when nobody is called."""
        loop = asyncio.get_running_loop()
        for listening in self._sockets:
            loop.remove_reader(listening.fileno())

    def close(self) -> None:
        """Listen no more; a UNIX socket's file is removed if it is still ours."""
        for listening in self._sockets:
            listening.close()
        self._sockets = []
        if self._file is not None:
            name, made = self._file
            with contextlib.suppress(OSError):
                if os.path.samestat(os.lstat(name), made):
                    os.unlink(name)


class Acceptor:
    """Accept clients from sockets, a few in each turn of the loop.

    Args:
        listening: The sockets, which are the acceptor's from now on.
        serve: Given each connection.
        clock: What to wait by when there is no room for another.
        log: Where trouble is told.
        is_full: Asked before each client; while it says so the others wait in the kernel's queue.
    """

    def __init__(
        self,
        listening: ListeningSockets,
        serve: Callable[[socket.socket], object],
        clock: Clock,
        log: Logger,
        is_full: Callable[[], bool] = lambda: False,
    ) -> None:
        self._listening = listening
        self._serve = serve
        self._clock = clock
        self._log = log
        self._is_full = is_full
        self._is_accepting = False
        self._retry: Timer | None = None
        self.resume()

    @property
    def names(self) -> list[object]:
        """What the sockets are bound to."""
        return self._listening.names

    def resume(self) -> None:
        """Accept again, unless it is full; harmless when that is done already, or at the end."""
        if not self._is_accepting and self._retry is None and self._listening.is_open and not self._is_full():
            self._is_accepting = True
            self._listening.watch(self._accept)

    def _pause(self) -> None:
        if self._is_accepting:
            self._is_accepting = False
            self._listening.unwatch()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            if self._is_full():
                self._pause()
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
        self._log.error("cannot accept a client", reason=error_text(error))
        if error.errno in _OUT_OF_DESCRIPTORS:
            self._pause()
            self._retry = self._clock.call_later(_RETRY_ACCEPT_NS, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self.resume()

    def close(self) -> None:
        """Accept nobody any more, and listen no more."""
        if self._retry is not None:
            self._retry.cancel()
        self._pause()
        self._listening.close()
