"""Keep a connection to a server, and make another when it is lost."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, TextIO

from qmpserver.shell.addresses import Address, Inherited
from qmpserver.shell.client import Connection, Message, NotConnected

_DELAYS_S = (0.1, 0.2, 0.5, 1.0, 2.0)
"""How long to wait before each attempt; the last holds for all after it."""


class Link:
    """A way to a server that may go and come back.

    Args:
        address: Where the server is.
        negotiate: The server greets and wants an answer.
        log: Gets the requests, their replies and the events, one in a line.
    """

    def __init__(
        self,
        address: Address,
        *,
        negotiate: bool = True,
        log: TextIO | None = None,
    ) -> None:
        self.address = address
        self._listeners: list[Callable[[Message], None]] = []
        self._negotiate = negotiate
        self._log = log
        self._connection: Connection | None = None

    @property
    def greeting(self) -> Message:
        """What the server said first."""
        return self._connection.greeting if self._connection else {}

    def subscribe(self, listener: Callable[[Message], None]) -> None:
        """Have every event given to a listener from now on."""
        self._listeners.append(listener)

    async def open(self) -> None:
        """Connect.

        Raises:
            OSError: There is no way to the server.
            NotConnected: It does not speak QMP, or has no time.
        """
        self._connection = await Connection.open(self.address, self._take_event, negotiate=self._negotiate)

    async def close(self) -> None:
        """Part from the server."""
        if self._connection is not None:
            await self._connection.close()

    async def request(self, message: Message) -> Message:
        """Send a person's request and return the reply.

        Raises:
            NotConnected: The server is not there, or goes before it replies.
        """
        self._write_log(message)
        reply = await self._current().request(message)
        self._write_log(reply)
        return reply

    async def execute(self, command: str, **arguments: Any) -> Any:
        """Ask something that the shell wants to know.

        Raises:
            CommandFailed: The server refuses it.
            NotConnected: The server is not there, or goes before it replies.
        """
        return await self._current().execute(command, **arguments)

    async def wait_lost(self) -> None:
        """Wait until the server has gone."""
        await self._current().wait_closed()

    @property
    def can_return(self) -> bool:
        """Whether a lost server can be looked for again."""
        return not isinstance(self.address, Inherited)

    async def reopen(self) -> None:
        """Try to connect until it succeeds."""
        attempt = 0
        while True:
            await asyncio.sleep(_DELAYS_S[min(attempt, len(_DELAYS_S) - 1)])
            attempt += 1
            try:
                await self.open()
            except (OSError, NotConnected):
                continue
            return

    def _current(self) -> Connection:
        if self._connection is None:
            raise NotConnected("not connected")
        return self._connection

    def _take_event(self, message: Message) -> None:
        self._write_log(message)
        for listener in self._listeners:
            listener(message)

    def _write_log(self, message: Message) -> None:
        if self._log is not None:
            self._log.write(json.dumps(message) + "\n")
            self._log.flush()
