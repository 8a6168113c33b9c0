"""Talk QMP over one connection: requests, their replies, and events as they come."""

import asyncio
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

_OWN_ID = "qmpserver-shell#"


class NotConnected(Exception):
    """Report that the server is not there, or is none."""


class Gone(NotConnected):
    """Report that the server has gone before it replied."""


class CommandFailed(Exception):
    """Report a command that the server refused."""


class Connection(asyncio.Protocol):
    """A connection, ready for commands.

    What comes is taken as it comes, so that a reply counts even where the server resets the connection behind it.

    Args:
        on_event: Is given every event.

    Attributes:
        greeting: What the server said first; empty when it was not waited for.
    """

    def __init__(self, on_event: Callable[[Message], None]) -> None:
        loop = asyncio.get_running_loop()
        self.greeting: Message = {}
        self._on_event = on_event
        self._decoder = Decoder()
        self._numbers = itertools.count()
        self._transport: asyncio.Transport | None = None
        self._closed: asyncio.Future[None] = loop.create_future()
        self._first: asyncio.Future[Message] = loop.create_future()
        self._waiting: dict[str, asyncio.Future[Message]] = {}
        self._talks_nonsense = False

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
            NotConnected: It does not greet, does not speak QMP, or refuses to be used.
        """
        connection = cls(on_event)
        await _connect(address, connection)
        try:
            if negotiate:
                await connection._negotiate()
            else:
                connection._first.cancel()
        except BaseException:
            await connection.close()
            raise
        return connection

    async def request(self, message: Message) -> Message:
        """Send a request and return the reply, both without the id that tells whose reply it is.

        A request's own id stays; it must not be that of another under way.

        Raises:
            NotConnected: There is no connection.
            Gone: It ends before the reply comes.
        """
        if self._closed.done() or self._transport is None:
            raise NotConnected("not connected")
        has_id = "id" in message
        identity = message["id"] if has_id else f"{_OWN_ID}{next(self._numbers)}"
        key = json.dumps(identity, sort_keys=True)
        if key in self._waiting:
            raise NotConnected(f"a request with the id {key} is under way")
        reply = self._waiting[key] = asyncio.get_running_loop().create_future()
        try:
            self._transport.write(json.dumps({**message, "id": identity}).encode() + b"\n")
            return _without_id(await reply, keep=has_id)
        finally:
            self._waiting.pop(key, None)

    async def execute(self, command: str, **arguments: Any) -> Any:
        """Run a command and return what it returns.

        Raises:
            CommandFailed: The server refuses it.
            NotConnected: There is no connection.
            Gone: It ends before the reply comes.
        """
        reply = await self.request({"execute": command, "arguments": arguments})
        if "error" in reply:
            raise CommandFailed(str(reply["error"].get("desc", "")))
        return reply.get("return")

    async def wait_closed(self) -> None:
        """Wait until the server has gone."""
        await asyncio.shield(self._closed)

    async def close(self) -> None:
        """Part from the server."""
        if self._transport is not None:
            self._transport.close()
            await self.wait_closed()

    async def _negotiate(self) -> None:
        try:
            async with asyncio.timeout(GREETING_S):
                message = await self._first
        except TimeoutError as error:
            raise NotConnected("the server does not greet; another client may hold it") from error
        greeting = message.get("QMP")
        if not isinstance(greeting, dict):
            raise NotConnected("the server's first message is no QMP greeting")
        self.greeting = greeting
        try:
            await self.execute("qmp_capabilities")
        except CommandFailed as error:
            raise NotConnected(f"the server refuses to be used: {error}") from error

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the way to the server, as asyncio hands it over."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take what the server sends."""
        self._decoder.feed(data)
        try:
            while (message := self._decoder.next()) is not NEED_DATA:
                self._take(message)
        except (JSONError, NotConnected):
            self._talks_nonsense = True
            assert self._transport is not None
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let nobody wait for replies that cannot come any more."""
        if not self._first.done():
            self._first.set_exception(self._end("the server closed the connection before its greeting"))
        for reply in self._waiting.values():
            if not reply.done():
                reply.set_exception(self._end("the server has gone"))
        self._closed.set_result(None)

    def _end(self, reason: str) -> NotConnected:
        return NotConnected("the server does not speak QMP") if self._talks_nonsense else Gone(reason)

    def _take(self, message: Any) -> None:
        if not isinstance(message, dict):
            raise NotConnected
        if not self._first.done():
            self._first.set_result(message)
        elif "event" in message:
            self._on_event(message)
        else:
            self._settle(message)

    def _settle(self, message: Message) -> None:
        """Give a reply to who waits for it.  One without an id is to the oldest request: it could not be read."""
        key = json.dumps(message["id"], sort_keys=True) if "id" in message else next(iter(self._waiting), "")
        reply = self._waiting.pop(key, None)
        if reply is not None and not reply.done():
            reply.set_result(message)


async def _connect(address: Address, connection: Connection) -> None:
    loop = asyncio.get_running_loop()
    match address:
        case UnixPath(path):
            await loop.create_unix_connection(lambda: connection, path)
        case HostPort(host, port):
            await loop.create_connection(lambda: connection, host, port)
        case Inherited():
            await loop.create_connection(lambda: connection, sock=address.take())


def _without_id(reply: Message, *, keep: bool) -> Message:
    return reply if keep else {key: value for key, value in reply.items() if key != "id"}
