"""Keep a connection to a server, and make another when it is lost."""

import asyncio
import errno
import os
from collections.abc import Callable, Coroutine
from typing import Any, Final

from qmpserver.clock import Clock, Timer
from qmpserver.drivers.nbd.connection import NbdConnection
from qmpserver.errors import QMPError
from qmpserver.log import get_logger
from qmpserver.units import NS_PER_SECOND

FIRST_PAUSE_NS: Final = NS_PER_SECOND
"""How long to wait after the first attempt in vain; after each further one twice as long."""

LONGEST_PAUSE_NS: Final = 16 * NS_PER_SECOND

SILENCE_NS: Final = 10 * NS_PER_SECOND
"""How long a server may say nothing to a request that somebody in a hurry waits for."""

ATTEMPT_NS: Final = 30 * NS_PER_SECOND
"""How long one attempt to connect may take, the handshake included."""

Connect = Callable[[], Coroutine[Any, Any, NbdConnection]]
"""Makes a connection; raises QMPError."""

_log = get_logger("nbd")


class Lifeline:
    """A connection that is made anew when it was lost.

    For `patience_ns` after a loss requests are held back, for another connection to come; then they fail, and so
    do further ones, until there is one.

    Args:
        connect: Makes connections.
        clock: What to wait by.
        patience_ns: How long requests are held back after a loss; 0 for not at all.
    """

    def __init__(self, connect: Connect, clock: Clock, patience_ns: int) -> None:
        self._connect = connect
        self._clock = clock
        self._patience_ns = patience_ns
        self._connection: NbdConnection | None = None
        self._reconnecting: asyncio.Task[None] | None = None
        self._changed: asyncio.Future[None] | None = None
        self._is_patient = True
        self._deadline: Timer | None = None
        self._last_error: QMPError | None = None
        self._hurries = 0
        self._is_silent = False
        self._watch: Timer | None = None
        self._is_closed = False

    @property
    def connection(self) -> NbdConnection | None:
        """The connection there is, or None."""
        connection = self._connection
        return connection if connection is not None and not connection.lost.done() else None

    async def open(self, timeout_ns: int) -> NbdConnection:
        """Make the first connection.

        Args:
            timeout_ns: For how long to try again when it cannot be made; 0 for not at all.

        Raises:
            QMPError: It cannot be made.
        """
        attempts = self._bounded(self._persist(), timeout_ns) if timeout_ns else self._attempt()
        connection = await attempts
        self._adopt(connection)
        return connection

    async def _attempt(self) -> NbdConnection:
        """Try once; a server that says nothing at all is not waited for without a bound."""
        self._last_error = None
        return await self._bounded(self._connect(), ATTEMPT_NS)

    async def _bounded(self, work: Coroutine[Any, Any, NbdConnection], limit_ns: int) -> NbdConnection:
        attempts = asyncio.get_running_loop().create_task(work)
        timer = self._clock.call_later(limit_ns, attempts.cancel)
        try:
            return await attempts
        except asyncio.CancelledError:
            attempts.cancel()
            if (current := asyncio.current_task()) is not None and current.cancelling():
                raise
            raise self._last_error or QMPError(os.strerror(errno.ETIMEDOUT)) from None
        finally:
            timer.cancel()

    async def _persist(self) -> NbdConnection:
        """Return a connection, however often it has to be tried."""
        pause_ns = FIRST_PAUSE_NS
        while True:
            try:
                return await self._attempt()
            except QMPError as error:
                self._last_error = error
                _log.debug("nbd server not there", reason=error.description)
            await self._clock.sleep(pause_ns)
            pause_ns = min(2 * pause_ns, LONGEST_PAUSE_NS)

    def _adopt(self, connection: NbdConnection) -> None:
        self._connection = connection
        self._is_patient = True
        self._cancel_deadline()
        connection.lost.add_done_callback(lambda _: self._on_loss(connection))
        self._tell()

    def _on_loss(self, connection: NbdConnection) -> None:
        if self._is_closed or connection is not self._connection:
            return
        _log.warning("nbd connection lost", export=connection.agreed.export.name)
        self._is_patient = self._patience_ns > 0 and not self._is_silent
        if self._is_patient:
            self._deadline = self._clock.call_later(self._patience_ns, self._lose_patience)
        self._reconnecting = asyncio.get_running_loop().create_task(self._reconnect())
        self._tell()

    def _lose_patience(self) -> None:
        self._cancel_deadline()
        self._is_patient = False
        self._tell()

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _tell(self) -> None:
        """Have those who wait look at what has changed."""
        changed, self._changed = self._changed, None
        if changed is not None:
            changed.set_result(None)

    async def _reconnect(self) -> None:
        self._adopt(await self._persist())

    # Those in a hurry

    def hurry_begin(self) -> None:
        """Take a server that says nothing for lost, until :meth:`hurry_end`; calls may nest."""
        self._hurries += 1
        if self._hurries == 1:
            self._listen()

    def hurry_end(self) -> None:
        """Wait again as long as it takes."""
        self._hurries -= 1
        if not self._hurries:
            self._is_silent = False
            if self._watch is not None:
                self._watch.cancel()

    def yank(self) -> None:
        """Cut the connection for good; requests fail from now on."""
        connection, self._is_closed = self.connection, True
        if self._reconnecting is not None:
            self._reconnecting.cancel()
        self._cancel_deadline()
        if connection is not None:
            connection.close()
        self._tell()

    def cancel_held(self) -> None:
        """Hold requests back no longer, until there is a connection again."""
        if self.connection is None:
            self._lose_patience()

    def _listen(self) -> None:
        connection = self.connection
        heard = 0 if connection is None else connection.heard
        self._watch = self._clock.call_later(SILENCE_NS, lambda: self._judge(connection, heard))

    def _judge(self, connection: NbdConnection | None, heard: int) -> None:
        """Give the server up if it has said nothing since it was last listened to."""
        current = self.connection
        if current is None:
            self._lose_patience()
        elif current is connection and current.is_waiting and current.heard == heard:
            _log.warning("nbd server does not answer", export=current.agreed.export.name)
            self._is_silent = True
            current.close()
        self._listen()

    async def current(self) -> NbdConnection:
        """Return a connection, waiting for one for as long as there is patience.

        Raises:
            OSError: EIO when there is none.
        """
        while (connection := self.connection) is None or self._is_silent:
            if self._is_closed or self._is_silent or not self._is_patient:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            self._changed = self._changed or asyncio.get_running_loop().create_future()
            await asyncio.shield(self._changed)
        return connection

    async def close(self) -> None:
        """Take leave of the server; requests that wait fail."""
        self._is_closed = True
        if self._watch is not None:
            self._watch.cancel()
        self._cancel_deadline()
        if self._reconnecting is not None:
            self._reconnecting.cancel()
            await asyncio.gather(self._reconnecting, return_exceptions=True)
        if self._connection is not None:
            self._connection.close(politely=True)
        self._tell()
