"""Clients that die, do not read, say nothing, or talk nonsense; and exports that go while they are used."""

import asyncio
import contextlib
import random
import resource
import socket
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from qmpserver.drivers.nbd.connection import ConnectionLost
from qmpserver.drivers.nbd.handshake import shake_hands
from qmpserver.errors import QMPError
from qmpserver.exports.nbd_server import NbdServer
from qmpserver.nbd import wire
from qmpserver.nbd.client_replies import RequestWriter
from qmpserver.nbd.constants import Command, Option
from qmpserver.nbd.server_handshake import HeaderMode
from qmpserver.units import NS_PER_SECOND, MiB
from tests.unit.exports.serving import SIZE, Stage, play, read, write

REQUESTS = RequestWriter(HeaderMode.SIMPLE)


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def greet(stage: Stage) -> socket.socket:
    """Go over to transmission the oldest way."""
    plain = stage.dial()
    loop = asyncio.get_running_loop()
    await loop.sock_recv(plain, 18)
    await loop.sock_sendall(plain, wire.CLIENT_FLAGS.pack(3) + wire.option(Option.EXPORT_NAME, b"disk"))
    await loop.sock_recv(plain, 10)
    return plain


async def wait_for_end(plain: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    try:
        while await loop.sock_recv(plain, 1 << 20):
            pass
    except ConnectionError:
        pass
    plain.close()


def server_of(stage: Stage) -> NbdServer:
    return stage.server.daemon.nbd.server


def test_a_write_that_came_in_part_is_not_carried_out(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        async with stage.client() as other:
            for length in (4096, MiB):
                plain = await greet(stage)
                whole = REQUESTS.write(Command.WRITE, 1, 0, 512) + b"x" * 512
                part = REQUESTS.write(Command.WRITE, 2, 512, length) + b"y" * (length - 1)
                await asyncio.get_running_loop().sock_sendall(plain, whole + part)
                plain.shutdown(socket.SHUT_WR)
                await wait_for_end(plain)
                assert await read(other, 0, 1024) == b"x" * 512 + bytes(512)
        await settle()
        assert not server_of(stage).connections

    play(tmp_path, body)


def test_a_client_that_half_closes_still_gets_its_replies(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        plain = await greet(stage)
        lines = [REQUESTS.write(Command.READ, cookie, 0, 8192) for cookie in range(200)]
        await asyncio.get_running_loop().sock_sendall(plain, b"".join(lines))
        plain.shutdown(socket.SHUT_WR)
        got = 0
        while count := len(await asyncio.get_running_loop().sock_recv(plain, 1 << 20)):
            got += count
        assert got == 200 * (16 + 8192)
        plain.close()

    play(tmp_path, body)


def test_what_follows_a_leave_is_not_carried_out(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        plain = await greet(stage)
        line = (
            REQUESTS.write(Command.READ, 0, 0, 512)
            + REQUESTS.write(Command.DISC, 1)
            + REQUESTS.write(Command.WRITE, 2, 0, 512)
            + b"x" * 512
        )
        await asyncio.get_running_loop().sock_sendall(plain, line)
        await wait_for_end(plain)
        async with stage.client() as other:
            assert await read(other, 0, 512) == bytes(512)

    play(tmp_path, body)


@pytest.mark.parametrize("phase", ["flags", "options", "transmission"])
def test_nonsense_ends_a_connection_and_nothing_else(tmp_path: Path, phase: str) -> None:
    async def body(stage: Stage) -> None:
        rng = random.Random(phase)
        loop = asyncio.get_running_loop()
        async with stage.client() as other:
            await write(other, 0, b"x" * 4096)
            for _ in range(40):
                if phase == "transmission":
                    plain = await greet(stage)
                else:
                    plain = stage.dial()
                    if phase == "options":
                        await loop.sock_sendall(plain, wire.CLIENT_FLAGS.pack(rng.randrange(4)))
                magic = rng.choice([b"", b"IHAVEOPT", b"IHAVEOPT\0\0\0" + bytes([rng.randrange(12)])])
                await loop.sock_sendall(plain, magic + rng.randbytes(rng.randrange(1, 300)))
                plain.shutdown(socket.SHUT_WR)
                await wait_for_end(plain)
            assert await read(other, 0, 4096) == b"x" * 4096
        await settle()
        assert not server_of(stage).connections

    play(tmp_path, body)


def test_clients_that_say_nothing_are_let_in_so_many_at_a_time_and_for_so_long(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        silent = [stage.dial() for _ in range(100)]
        await settle()
        assert server_of(stage).connections == 30
        asking = asyncio.ensure_future(shake_hands(stage.dial(), "disk", (), None))
        for _ in range(3):
            assert server_of(stage).connections == 30
            assert not asking.done()
            stage.clock.advance(10 * NS_PER_SECOND)
            await settle()
        client = await asking
        assert await read(client, 0, 1) == b"\0"
        # Who has chosen an export may take as long as it likes.
        stage.clock.advance(100 * NS_PER_SECOND)
        assert await read(client, 0, 1) == b"\0"
        client.close()
        for plain in silent:
            plain.close()

    play(tmp_path, body, max_connections=30)


def test_a_thousand_silent_clients_keep_nobody_from_being_served_and_are_parted_with(
    tmp_path: Path,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2200:
        pytest.skip("not so many descriptors can be had")

    async def body(stage: Stage) -> None:
        silent = []
        for _ in range(1000):
            silent.append(stage.dial())
            await asyncio.sleep(0)
        async with stage.client() as client:
            assert await read(client, 0, 1) == b"\0"
            assert server_of(stage).connections == 1001
            stage.clock.advance(10 * NS_PER_SECOND)
            await settle()
            assert server_of(stage).connections == 1
            assert await read(client, 0, 1) == b"\0"
        for plain in silent:
            plain.close()

    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2200), hard))
    try:
        play(tmp_path, body, max_connections=0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_client_that_does_not_read_costs_no_more_than_what_is_under_way(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        plain = await greet(stage)
        lines = b"".join(REQUESTS.write(Command.READ, cookie, 0, 2 * MiB) for cookie in range(300))
        tracemalloc.start()
        await asyncio.get_running_loop().sock_sendall(plain, lines)
        async with stage.client() as other:
            for _ in range(40):
                assert await read(other, SIZE - 512, 512) == bytes(512)
            await settle()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 80 * MiB
        plain.close()

    play(tmp_path, body, driver="raw")


def test_an_export_that_is_used_goes_only_the_hard_way(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        told: list[Any] = []
        stage.server.daemon.events.subscribe(
            lambda event: told.append(event.to_wire()) if event.name == "BLOCK_EXPORT_DELETED" else None
        )
        async with stage.client() as client:
            await read(client, 0, 512)
            for command in ("block-export-del", "nbd-server-remove"):
                name = "id" if command == "block-export-del" else "name"
                with pytest.raises(QMPError, match="export 'e' still in use"):
                    await stage.execute(command, **{name: "e"})
            with pytest.raises(QMPError, match="Node n is in use"):
                await stage.execute("blockdev-del", node_name="n")
            writing = asyncio.ensure_future(write(client, 0, b"x" * (2 * MiB)))
            await settle()
            await stage.execute("block-export-del", id="e", mode="hard")
            assert [event["data"] for event in told] == [{"id": "e"}]
            with contextlib.suppress(ConnectionLost):
                await writing
            with pytest.raises(ConnectionLost):
                await read(client, 0, 512)
        await stage.execute("blockdev-del", node_name="n")

    play(tmp_path, body)


def test_the_server_stops_under_load_and_starts_again(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        async with stage.client() as client:
            load = asyncio.gather(
                *(write(client, at * 65536, b"x" * 65536) for at in range(32)), return_exceptions=True
            )
            await settle()
            await stage.execute("nbd-server-stop")
            assert all(outcome is None or isinstance(outcome, ConnectionLost) for outcome in await load)
        assert await stage.execute("query-block-exports") == []
        assert not stage.path.exists()
        address = {"type": "unix", "data": {"path": str(stage.path)}}
        await stage.execute("nbd-server-start", addr=address)
        await stage.execute("block_resize", node_name="n", size=2 * SIZE)
        await stage.execute("block-export-add", type="nbd", id="e", node_name="n", name="disk")
        async with stage.client() as client:
            assert client.agreed.export.size == 2 * SIZE

    play(tmp_path, body)


def test_an_inactive_node_is_read_but_not_written(tmp_path: Path) -> None:
    async def body(stage: Stage) -> None:
        with pytest.raises(QMPError, match="Failed to inactivate node: Operation not permitted"):
            await stage.execute("blockdev-set-active", node_name="n", active=False)
        await stage.execute("block-export-del", id="e")
        await stage.execute(
            "block-export-add",
            type="nbd",
            id="e",
            node_name="n",
            name="disk",
            writable=True,
            allow_inactive=True,
        )
        async with stage.client() as client:
            await write(client, 0, b"x" * 512)
            await stage.execute("blockdev-set-active", node_name="n", active=False)
            with pytest.raises(OSError, match="Operation not permitted"):
                await write(client, 0, b"y" * 512)
            assert await read(client, 0, 512) == b"x" * 512
            await stage.execute("blockdev-set-active", node_name="n", active=True)
            await write(client, 0, b"y" * 512)
            assert await read(client, 0, 512) == b"y" * 512

    play(tmp_path, body)
