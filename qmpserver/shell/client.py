"""Talk QMP over one connection: requests, their replies, and events as they come."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import Callable
from typing import Any, TypeAlias

from qmpserver.qmp.decoder import NEED_DATA, Decoder
from qmpserver.qmp.parser import JSONError
from qmpserver.shell.addresses import Address, HostPort, Inherited, UnixPath

Message: TypeAlias = dict[str, Any]

GREETING_S = 10.0
"""How long a server may take to greet."""

_CHUNK = 1 << 16
_OWN_ID = "qmpserver-shell#"


class NotConnected(Exception):
    """Report that the server is not there, or has gone before it replied."""


class CommandFailed(Exception):
    """Report a command that the server refused."""


class Connection:
    """A connection, ready for commands.

    Args:
        reader: What comes from the server.
        writer: What goes to it.
        on_event: Is given every event.

    Attributes:
        greeting: What the server said first; empty when it was not waited for.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, on_event: Callable[[Message], None]
    ) -> None:
        self.greeting: Message = {}
        self._reader = reader
        self._writer = writer
        self._on_event = on_event
        self._decoder = Decoder()
        self._waiting: dict[str, asyncio.Future[Message]] = {}
        self._numbers = itertools.count()
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls, address: Address, on_event: Callable[[Message], None], *, negotiate: bool = True
    ) -> "Connection":
        """Connect, and leave the server ready for commands.

        Args:
            address: Where the server is.
            on_event: Is given every event.
            negotiate: The server greets and wants an answer; the guest agent does not.

        Raises:
            OSError: There is no way to it.
            NotConnected: It does not greet, or does not speak QMP.
        """
        connection = cls(*await _streams(address), on_event)
        try:
            if negotiate:
                connection.greeting = await connection._greeting()
            connection._reading = asyncio.create_task(connection._read())
            if negotiate:
                await connection.execute("qmp_capabilities")
        except BaseException:
            await connection.close()
            raise
        return connection

    async def request(self, message: Message) -> Message:
        """Send a request and return the reply, both without the id that tells whose reply it is.

        A request's own id stays; it must not be that of another under way.

        Raises:
            NotConnected: The connection ends before the reply comes.
        """
        if self._reading is None or self._reading.done():
            raise NotConnected("not connected")
        has_id = "id" in message
        identity = message["id"] if has_id else f"{_OWN_ID}{next(self._numbers)}"
        key = json.dumps(identity, sort_keys=True)
        if key in self._waiting:
            raise NotConnected(f"a request with the id {key} is under way")
        reply = self._waiting[key] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(json.dumps({**message, "id": identity}).encode() + b"\n")
            return _without_id(await reply, keep=has_id)
        finally:
            self._waiting.pop(key, None)

    async def execute(self, command: str, **arguments: Any) -> Any:
        """Run a command and return what it returns.

        Raises:
            CommandFailed: The server refuses it.
            NotConnected: The connection ends before the reply comes.
        """
        reply = await self.request({"execute": command, "arguments": arguments})
        if "error" in reply:
            raise CommandFailed(str(reply["error"].get("desc", "")))
        return reply.get("return")

    async def wait_closed(self) -> None:
        """Wait until the server has gone."""
        if self._reading is not None:
            await asyncio.wait([self._reading])

    async def close(self) -> None:
        """Part from the server."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _greeting(self) -> Message:
        try:
            async with asyncio.timeout(GREETING_S):
                message = await self._next()
        except TimeoutError as error:
            raise NotConnected("the server does not greet; another client may hold it") from error
        if message is None:
            raise NotConnected("the server closed the connection before its greeting")
        greeting = message.get("QMP")
        if not isinstance(greeting, dict):
            raise NotConnected("the server's first message is no QMP greeting")
        return greeting

    async def _read(self) -> None:
        """Hand on messages until there are no more."""
        try:
            while (message := await self._next()) is not None:
                if "event" in message:
                    self._on_event(message)
                else:
                    self._settle(message)
        except (OSError, NotConnected):
            pass
        finally:
            for reply in self._waiting.values():
                if not reply.done():
                    reply.set_exception(NotConnected("the server has gone"))
            self._writer.close()

    def _settle(self, message: Message) -> None:
        """Give a reply to who waits for it.  One without an id is to the oldest request: it could not be read."""
        key = json.dumps(message["id"], sort_keys=True) if "id" in message else next(iter(self._waiting), "")
        reply = self._waiting.pop(key, None)
        if reply is not None and not reply.done():
            reply.set_result(message)

    async def _next(self) -> Message | None:
        """Return the next message, or None at the end."""
        while True:
            try:
                message = self._decoder.next()
            except JSONError as error:
                raise NotConnected("the server does not speak QMP") from error
            if message is not NEED_DATA:
                if not isinstance(message, dict):
                    raise NotConnected("the server does not speak QMP")
                return message
            data = await self._reader.read(_CHUNK)
            if not data:
                return None
            self._decoder.feed(data)


async def _streams(address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    match address:
        case UnixPath(path):
            return await asyncio.open_unix_connection(path)
        case HostPort(host, port):
            return await asyncio.open_connection(host, port)
        case Inherited():
            return await asyncio.open_connection(sock=address.take())


def _without_id(reply: Message, *, keep: bool) -> Message:
    return reply if keep else {key: value for key, value in reply.items() if key != "id"}
