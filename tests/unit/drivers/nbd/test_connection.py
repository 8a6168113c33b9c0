"""One connection to a server that keeps to the protocol, or does not."""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from qmpserver.drivers.nbd.connection import ConnectionLost, NbdConnection
from qmpserver.drivers.nbd.handshake import shake_hands
from qmpserver.nbd.constants import ChunkFlag, ChunkType, Command, Error
from qmpserver.nbd.server_requests import ReplyWriter, Request
from qmpserver.nbd.wire import HOLE, chunk
from tests.contract.engine import MemoryFile
from tests.unit.drivers.nbd.tiny_server import TinyServer

SIZE = 1 << 20
Body = Callable[[TinyServer, NbdConnection], Coroutine[Any, Any, None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Body], None]:
    async def main(body: Body) -> None:
        server = TinyServer(tmp_path / "nbd.sock", MemoryFile(bytes(range(256)) * (SIZE // 256)))
        server.start()
        plain = socket.socket(socket.AF_UNIX)
        plain.connect(str(server.path))
        connection = await shake_hands(plain, "x", ("base:allocation",), None)
        async with asyncio.timeout(10):
            await body(server, connection)
        connection.close()
        await server.stop()

    return lambda body: asyncio.run(main(body))


def read(connection: NbdConnection, offset: int, length: int) -> Awaitable[object]:
    return connection.request(Command.READ, offset, length, into=memoryview(bytearray(length)))


def test_many_requests_are_answered_each_its_own(play: Callable[[Body], None]) -> None:
    async def body(server: TinyServer, connection: NbdConnection) -> None:
        buffers = [bytearray(1 + 7 * at) for at in range(200)]
        requests = [
            connection.request(Command.READ, 3 * at, len(into), into=memoryview(into))
            for at, into in enumerate(buffers)
        ]
        await asyncio.gather(*requests)
        for at, into in enumerate(buffers):
            assert into == server.file.data[3 * at : 3 * at + len(into)]

    play(body)


def test_replies_out_of_order_in_chunks_and_with_holes_are_put_together(
    play: Callable[[Body], None],
) -> None:
    held: list[bytes] = []

    def answer(request: Request, replies: ReplyWriter) -> bytes:
        data = replies.data_header(request, request.offset + 512, 512, is_last=False) + b"d" * 512
        held.append(replies.hole(request, request.offset, 512, is_last=True))
        return data if len(held) < 2 else data + held[1] + held[0]

    async def body(server: TinyServer, connection: NbdConnection) -> None:
        server.answer = answer
        buffers = [bytearray(b"o" * 1024) for _ in range(2)]
        await asyncio.gather(
            *(connection.request(Command.READ, 0, 1024, into=memoryview(into)) for into in buffers)
        )
        assert buffers == [bytes(512) + b"d" * 512] * 2

    play(body)


def _chunk(request: Request, kind: ChunkType, content: bytes, flags: ChunkFlag = ChunkFlag.DONE) -> bytes:
    return chunk(request.cookie, kind, len(content), flags, extended=True, offset=request.offset) + content


NONSENSE: list[Callable[[Request, ReplyWriter], bytes]] = [
    lambda _, __: b"nonsense" * 8,
    lambda request, replies: replies.done(Request(0, 0, request.cookie + 100, 0, 0)),
    lambda request, _: _chunk(request, ChunkType.OFFSET_DATA, bytes(8)),
    lambda request, _: _chunk(request, ChunkType.OFFSET_DATA, (1 << 40).to_bytes(8, "big") + b"x"),
    lambda request, _: _chunk(request, ChunkType.OFFSET_HOLE, HOLE.pack(request.offset, 1 << 20)),
    lambda request, _: _chunk(request, ChunkType.NONE, b"x"),
    lambda request, _: _chunk(request, ChunkType.ERROR, bytes(6)),
    lambda request, _: chunk(request.cookie, ChunkType.OFFSET_DATA, 1 << 30, extended=True),
]


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_a_server_that_talks_nonsense_is_left(
    play: Callable[[Body], None], nonsense: Callable[[Request, ReplyWriter], bytes]
) -> None:
    async def body(server: TinyServer, connection: NbdConnection) -> None:
        server.answer = nonsense
        outcomes = await asyncio.gather(
            read(connection, 4096, 4096), read(connection, 0, 512), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [ConnectionLost] * 2
        assert connection.lost.done()
        with pytest.raises(ConnectionLost):
            await read(connection, 0, 512)

    play(body)


@pytest.mark.parametrize(
    ("error", "number"),
    [(Error.ENOSPC, errno.ENOSPC), (Error.ESHUTDOWN, errno.ESHUTDOWN), (Error.EPERM, errno.EPERM)],
)
def test_a_refusal_is_no_loss_of_the_connection(
    play: Callable[[Body], None], error: Error, number: int
) -> None:
    async def body(server: TinyServer, connection: NbdConnection) -> None:
        server.answer = lambda request, replies: replies.failed(request, error, "why")
        with pytest.raises(OSError) as caught:  # noqa: PT011 - its number is what is looked at
            await read(connection, 0, 512)
        assert caught.value.errno == number
        assert not isinstance(caught.value, ConnectionLost)
        server.answer = None
        await read(connection, 0, 512)

    play(body)


def test_a_read_that_is_answered_in_part_has_failed(play: Callable[[Body], None]) -> None:
    async def body(server: TinyServer, connection: NbdConnection) -> None:
        server.answer = lambda request, replies: (
            replies.data_header(request, request.offset, 512, is_last=True) + b"d" * 512
        )
        with pytest.raises(OSError, match="Input/output error"):
            await read(connection, 0, 1024)

    play(body)


def test_who_is_cancelled_waits_until_the_memory_is_no_longer_lent(play: Callable[[Body], None]) -> None:
    async def body(server: TinyServer, connection: NbdConnection) -> None:
        server.answer = lambda _, __: None
        request = asyncio.ensure_future(read(connection, 0, 512))
        while not server.seen:
            await asyncio.sleep(0)
        request.cancel()
        await asyncio.sleep(0)
        assert not request.done()
        server.drop()
        with pytest.raises(asyncio.CancelledError):
            await request

    play(body)
