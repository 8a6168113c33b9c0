"""A small NBD server over a file in memory, which can be told to misbehave."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable
from pathlib import Path

from qmpserver.nbd.constants import Command, TransmissionFlag, error_of
from qmpserver.nbd.contexts import BASE_ALLOCATION
from qmpserver.nbd.export_info import ExportInfo
from qmpserver.nbd.request_buffer import RequestBuffer
from qmpserver.nbd.server_handshake import HeaderMode, Negotiated, ServerHandshake, Turn
from qmpserver.nbd.server_requests import ReplyWriter, Request
from tests.contract.engine import MemoryFile

ALL = (
    TransmissionFlag.SEND_FLUSH
    | TransmissionFlag.SEND_FUA
    | TransmissionFlag.SEND_TRIM
    | TransmissionFlag.SEND_WRITE_ZEROES
)

Answer = Callable[[Request, ReplyWriter], bytes | None]


class TinyServer:
    """Serves one export, whatever its name.

    Args:
        path: Where it listens.
        file: What it serves.
        flags: What it says can be done.
        minimum_block: What it says requests must be aligned to.

    Attributes:
        seen: The requests it got.
        answer: Makes a reply in its stead; None from it is no reply at all.
        has_holes: It says that half of each range it is asked about is one.
        dies_of_reads: It breaks all connections when it is to read.
        is_mute: It does not even greet.
        connections: How many there have been.
    """

    def __init__(
        self, path: Path, file: MemoryFile, flags: TransmissionFlag = ALL, minimum_block: int = 1
    ) -> None:
        self.path = path
        self.file = file
        self.flags = flags
        self.minimum_block = minimum_block
        self.seen: list[Request] = []
        self.answer: Answer | None = None
        self.has_holes = True
        self.dies_of_reads = False
        self.is_mute = False
        self.connections = 0
        self._connections: dict[socket.socket, asyncio.Task[None]] = {}
        self._listening: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None

    def names(self) -> list[tuple[str, str]]:
        return []

    def find(self, name: str) -> ExportInfo:
        return ExportInfo(
            name,
            self.file.size,
            self.flags,
            minimum_block=self.minimum_block,
            contexts=(BASE_ALLOCATION,),
        )

    def start(self) -> None:
        """Listen."""
        self.path.unlink(missing_ok=True)
        listening = self._listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(self.path))
        listening.listen()
        listening.setblocking(False)
        self._accepting = asyncio.create_task(self._accept(listening))

    def drop(self) -> None:
        """Break all connections."""
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    async def stop(self) -> None:
        """Break all connections, and let nobody in any more."""
        self.path.unlink(missing_ok=True)
        assert self._accepting is not None
        assert self._listening is not None
        self._accepting.cancel()
        await asyncio.gather(self._accepting, return_exceptions=True)
        self._listening.close()
        tasks = list(self._connections.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listening)
            self.connections += 1
            self._connections[connection] = loop.create_task(self._serve(connection))

    async def _serve(self, connection: socket.socket) -> None:
        try:
            if self.is_mute:
                await asyncio.get_running_loop().create_future()
            await self._answer_all(connection)
        except (OSError, EOFError):
            pass
        finally:
            del self._connections[connection]
            connection.close()

    async def _answer_all(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        negotiated, leftover = await self._shake_hands(connection)
        requests = RequestBuffer(negotiated.mode, leftover)
        while True:
            while (request := requests.take()) is not None:
                reply = await self._reply(request, negotiated.mode)
                await loop.sock_sendall(connection, reply or b"")
            count = await loop.sock_recv_into(connection, requests.room())
            if not count:
                return
            requests.received(count)

    async def _shake_hands(self, connection: socket.socket) -> tuple[Negotiated, bytes]:
        loop = asyncio.get_running_loop()
        handshake = ServerHandshake(self)
        await loop.sock_sendall(connection, handshake.greeting())
        while True:
            data = await loop.sock_recv(connection, 65536)
            if not data:
                raise EOFError
            handshake.feed(data)
            while (item := handshake.next()) is not None:
                if isinstance(item, bytes):
                    await loop.sock_sendall(connection, item)
                if isinstance(item, Negotiated):
                    return item, handshake.leftover()
                if item is Turn.CLOSED:
                    raise EOFError

    async def _reply(self, request: Request, mode: HeaderMode) -> bytes | None:
        self.seen.append(request)
        replies = ReplyWriter(mode)
        if self.dies_of_reads and request.command == Command.READ:
            self.drop()
            return None
        if self.answer is not None:
            return self.answer(request, replies)
        try:
            return await self._carry_out(request, replies)
        except OSError as error:
            return replies.failed(request, error_of(error.errno))

    async def _carry_out(self, request: Request, replies: ReplyWriter) -> bytes:
        match request.command:
            case Command.READ:
                into = bytearray(request.length)
                await self.file.pread(request.offset, memoryview(into))
                return replies.read_header(request) + into
            case Command.WRITE:
                await self.file.pwrite(request.offset, request.data)
            case Command.WRITE_ZEROES:
                await self.file.pwrite_zeroes(request.offset, request.length)
            case Command.TRIM:
                await self.file.pdiscard(request.offset, request.length)
            case Command.FLUSH:
                await self.file.flush()
            case Command.BLOCK_STATUS:
                data = max(request.length // 2, 1) if self.has_holes else request.length
                extents = [(data, 0), (request.length - data, 3)]
                told = [extent for extent in extents if extent[0]]
                return replies.block_status(request, 1, told, is_last=True)
            case _:
                raise OSError(errno.EINVAL, "no such command")
        return replies.done(request)
