"""Connections that may hang are listed, and cut when somebody asks for it."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from qmpserver.chardevs.chardev import NullChardev
from qmpserver.chardevs.socket_chardev import SocketSpec, make_socket
from qmpserver.clock import ManualClock
from qmpserver.errors import DeviceNotFound
from qmpserver.machine.machine import Machine
from qmpserver.schema.loader import load
from qmpserver.server import Server
from qmpserver.sockets import FdAddress

SCHEMA = load(with_machine=True)
CONNECTED = {"type": "chardev", "id": "c"}


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return two ends of a connection, of which the second will be the machine's."""
    ours, theirs = socket.socketpair()
    with ours:
        yield ours, theirs


async def with_chardev(server: Server, theirs: socket.socket) -> None:
    await server.daemon.chardevs.add(NullChardev("n"))
    await server.daemon.chardevs.add(
        make_socket("c", SocketSpec(FdAddress(theirs.detach()), is_server=False))
    )


async def is_ended(ours: socket.socket) -> bool:
    ours.setblocking(False)
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(ours, 1), 10) == b""


def test_a_connection_that_nobody_uses_is_cut(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair

    async def main() -> None:
        async with Server(daemon=Machine(SCHEMA, ManualClock())) as server:
            await with_chardev(server, theirs)
            assert await server.execute("query-yank") == [CONNECTED]
            await server.execute("yank", {"instances": [CONNECTED]})
            assert await is_ended(ours)

    asyncio.run(main())


def test_the_client_of_a_monitor_is_parted_with(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair

    async def main() -> None:
        async with Server(daemon=Machine(SCHEMA, ManualClock())) as server:
            await with_chardev(server, theirs)
            await server.add_chardev_monitor(server.daemon.chardevs.take("c"))
            ours.setblocking(False)
            loop = asyncio.get_running_loop()
            assert (await asyncio.wait_for(loop.sock_recv(ours, 4096), 10)).startswith(b'{"QMP"')
            await server.execute("yank", {"instances": [CONNECTED]})
            assert await is_ended(ours)

    asyncio.run(main())


@pytest.mark.parametrize(
    "other",
    [
        {"type": "chardev", "id": "n"},
        {"type": "chardev", "id": "x"},
        {"type": "block-node", "node-name": "x"},
        {"type": "migration"},
    ],
)
def test_nothing_is_cut_when_one_of_them_does_not_exist(
    other: dict[str, str], pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair

    async def main() -> None:
        async with Server(daemon=Machine(SCHEMA, ManualClock())) as server:
            await with_chardev(server, theirs)
            with pytest.raises(DeviceNotFound, match=r"^Instance not found$"):
                await server.execute("yank", {"instances": [CONNECTED, other]})
            ours.setblocking(False)
            with pytest.raises(BlockingIOError):
                ours.recv(1)

    asyncio.run(main())
