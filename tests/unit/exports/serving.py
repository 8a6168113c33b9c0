"""A server whose node is exported, and clients of it, all in one event loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qmpserver.clock import ManualClock
from qmpserver.drivers.nbd.connection import NbdConnection
from qmpserver.drivers.nbd.handshake import shake_hands
from qmpserver.nbd.constants import Command
from qmpserver.server import Server

SIZE = 4 << 20


@dataclass
class Stage:
    """A server with the exported node `n`, called `disk` by clients."""

    server: Server
    clock: ManualClock
    path: Path
    events: list[tuple[str, Any]] = field(default_factory=list)

    async def execute(self, command: str, **arguments: Any) -> Any:
        wire = {name.replace("_", "-"): value for name, value in arguments.items()}
        return await self.server.execute(command, wire)

    def dial(self) -> socket.socket:
        """Return a connected socket, over which nothing has been said."""
        plain = socket.socket(socket.AF_UNIX)
        plain.setblocking(False)
        plain.connect(str(self.path))
        return plain

    @contextlib.asynccontextmanager
    async def client(
        self, export: str = "disk", contexts: tuple[str, ...] = ("base:allocation",)
    ) -> AsyncIterator[NbdConnection]:
        connection = await shake_hands(self.dial(), export, contexts, None)
        try:
            yield connection
        finally:
            connection.close(politely=True)


async def read(client: NbdConnection, offset: int, length: int) -> bytes:
    into = bytearray(length)
    await client.request(Command.READ, offset, length, into=memoryview(into))
    return bytes(into)


async def write(client: NbdConnection, offset: int, data: bytes) -> None:
    await client.request(Command.WRITE, offset, len(data), data=memoryview(data))


Body = Callable[[Stage], Coroutine[Any, Any, None]]


def play(folder: Path, body: Body, *, driver: str = "qcow2", **server_options: Any) -> None:
    """Run `body` on a server; an error that nobody awaited fails the test."""

    if driver == "raw":
        (folder / "image").write_bytes(bytes(SIZE))

    async def main() -> None:
        unhandled: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        clock = ManualClock()
        async with asyncio.timeout(20), Server(clock=clock) as server:
            stage = Stage(server, clock, folder / "nbd.sock")
            await _export(stage, folder / "image", driver, server_options)
            await body(stage)
        assert not unhandled

    asyncio.run(main())


async def _export(stage: Stage, image: Path, driver: str, server_options: dict[str, Any]) -> None:
    if driver == "qcow2":
        await stage.server.create_image(str(image), "qcow2", SIZE)
    file = {"driver": "file", "filename": str(image), "node-name": "file"}
    await stage.execute("blockdev-add", driver=driver, node_name="n", file=file, discard="unmap")
    address = {"type": "unix", "data": {"path": str(stage.path)}}
    await stage.execute("nbd-server-start", addr=address, **server_options)
    await stage.execute("block-export-add", type="nbd", id="e", node_name="n", name="disk", writable=True)
