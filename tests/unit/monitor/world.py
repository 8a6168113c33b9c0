"""A monitor with toy commands, and clients at the other ends of socket pairs."""

import asyncio
import contextlib
import errno
import json
import os
import socket
from collections.abc import AsyncIterator
from typing import Any, ClassVar, Self

from qmpserver.clock import ManualClock
from qmpserver.errors import DeviceNotFound
from qmpserver.events import EventBus
from qmpserver.monitor.channel import SocketChannel
from qmpserver.monitor.commands import BoundCommand, Client
from qmpserver.monitor.monitor import Monitor
from qmpserver.sockets import peer_of

VERSION = {"qemu": {"major": 11, "minor": 1, "micro": 2}, "package": "test"}
PATIENCE_S = 20


class World:
    """One monitor and what its commands act on.

    Attributes:
        gate: `slow` waits until it is set.
        ended: How many `slow` have ended.
    """

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.events = EventBus(self.clock)
        self.gate = asyncio.Event()
        self.ended = 0
        limits = {"LIMITED": (1000, None)}
        self.monitor = Monitor(self._commands(), self.events, self.clock, limits, VERSION)

    def _commands(self) -> dict[str, BoundCommand]:
        runs: dict[str, Any] = {
            "echo": lambda _, arguments: arguments,
            "nothing": lambda *_: None,
            "big": lambda *_: "x" * 100_000,
            "at-once": lambda *_: self._at_once(),
            "slow": lambda *_: self._slow(),
            "slow-failure": lambda *_: self._slow_failure(),
            "oob": lambda *_: "oob",
            "change": lambda *_: None,
            "emit": self._emit,
            "not-found": self._not_found,
            "full-disk": self._full_disk,
            "crash": lambda *_: 1 // 0,
            "getfd": lambda client, arguments: client.fds.getfd(arguments["fdname"]),
        }
        return {
            name: BoundCommand(
                name, lambda given: given or {}, run, allow_oob=name == "oob", changes=name == "change"
            )
            for name, run in runs.items()
        }

    async def _at_once(self) -> str:
        return "at once"

    async def _slow(self) -> str:
        await self.gate.wait()
        self.ended += 1
        return "slow"

    async def _slow_failure(self) -> None:
        await self.gate.wait()
        raise OSError(errno.EIO, "hidden")

    def _emit(self, _: Client, arguments: dict[str, Any]) -> None:
        self.events.emit(arguments["name"], arguments.get("data"))

    def _not_found(self, *_: object) -> None:
        raise DeviceNotFound("Device 'x' not found")

    def _full_disk(self, *_: object) -> None:
        raise OSError(errno.ENOSPC, "hidden", "/a/file")

    async def connect(self, *, negotiate: bool = True, oob: bool = False, pretty: bool = False) -> "Reader":
        """Return a client of the monitor."""
        theirs, ours = socket.socketpair()
        self.monitor.attach(SocketChannel(ours), peer_of(ours), pretty=pretty)
        reader = await Reader.over(theirs)
        if not pretty:
            assert (await reader.message())["QMP"]["capabilities"] == ["oob"]
        if negotiate:
            await reader.negotiate(oob=oob)
        return reader


@contextlib.asynccontextmanager
async def a_world() -> AsyncIterator[World]:
    """Make a world, and end it within a time."""
    world = World()
    async with asyncio.timeout(PATIENCE_S):
        try:
            yield world
        finally:
            world.gate.set()
            await world.monitor.close()
            while Reader.made:
                Reader.made.pop().close()


class Reader:
    """A client that reads lines.  The world closes what the test does not."""

    made: ClassVar[list["Reader"]] = []

    def __init__(self, connection: socket.socket) -> None:
        self.made.append(self)
        self.socket = connection
        self.loop = asyncio.get_running_loop()
        self._buffer = b""

    @classmethod
    async def over(cls, connection: socket.socket) -> Self:
        """Take over a connected socket."""
        connection.setblocking(False)
        return cls(connection)

    async def send(self, data: bytes) -> None:
        await self.loop.sock_sendall(self.socket, data)

    def send_with_fds(self, data: bytes, *fds: int) -> None:
        socket.send_fds(self.socket, [data], fds)

    async def line(self) -> bytes:
        """Return the next line, or what is left before the end."""
        while b"\n" not in self._buffer:
            data = await self.loop.sock_recv(self.socket, 1 << 16)
            if not data:
                rest, self._buffer = self._buffer, b""
                return rest
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line + b"\n"

    async def message(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.line())
        return message

    async def is_at_end(self) -> bool:
        try:
            return await self.line() == b""
        except ConnectionResetError:
            return True

    async def negotiate(self, *, oob: bool = False) -> None:
        await self.execute("qmp_capabilities", enable=["oob"] if oob else [])

    async def execute(self, name: str, **arguments: Any) -> Any:
        """Run a command and return what it returns; nothing else may come in between."""
        await self.send(request(name, **arguments))
        return (await self.message())["return"]

    def close(self) -> None:
        self.socket.close()


def request(name: str, request_id: object = None, /, **arguments: Any) -> bytes:
    """Return the line that asks for a command."""
    wanted: dict[str, Any] = {"execute": name, "arguments": arguments}
    return json.dumps(wanted if request_id is None else {**wanted, "id": request_id}).encode() + b"\n"


async def turns(count: int = 20) -> None:
    """Let everybody else have some turns of the event loop."""
    for _ in range(count):
        await asyncio.sleep(0)


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
