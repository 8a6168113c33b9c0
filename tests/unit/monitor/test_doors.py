"""Where clients come in, or are called."""

import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest

from qmpserver.errors import QMPError
from qmpserver.monitor.channel import StdioChannel
from qmpserver.monitor.doors import Connector, Endpoint, Listener, open_door
from qmpserver.sockets import FdAddress, Peer, SocketAddress, TcpAddress, UnixAddress
from tests.unit.monitor.conftest import Run
from tests.unit.monitor.world import Reader, World, a_world, request


async def listening(world: World, address: SocketAddress) -> Listener:
    door = await open_door(Endpoint(address), world.monitor, world.clock)
    assert isinstance(door, Listener)
    return door


async def visit(family: int, name: object) -> Reader:
    """Connect, negotiate, and run a command."""
    connection = socket.socket(family)
    connection.connect(name)  # type: ignore[arg-type]
    reader = await Reader.over(connection)
    await reader.message()
    await reader.negotiate()
    assert await reader.execute("nothing") == {}
    return reader


def test_a_unix_socket_is_for_its_owner_only_and_removed_at_the_end(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with a_world() as world:
            path = tmp_path / "qmp.sock"
            door = await listening(world, UnixAddress(str(path)))
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            client = await visit(socket.AF_UNIX, str(path))
            await door.close()
            assert not path.exists()
            assert await client.execute("nothing") == {}

    run(main())


def test_a_socket_that_was_left_behind_is_replaced_and_one_that_replaced_ours_is_left(
    run: Run, tmp_path: Path
) -> None:
    async def main() -> None:
        async with a_world() as world:
            path = str(tmp_path / "qmp.sock")
            with socket.socket(socket.AF_UNIX) as stale:
                stale.bind(path)
            first = await listening(world, UnixAddress(path))
            second = await listening(world, UnixAddress(path))
            await first.close()
            await visit(socket.AF_UNIX, path)
            await second.close()
            assert not os.access(path, os.F_OK)

    run(main())


def test_a_file_that_is_no_socket_is_not_replaced(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with a_world() as world:
            path = tmp_path / "precious"
            path.write_text("data")
            with pytest.raises(QMPError, match=f"Failed to bind socket to {path}: Address already in use"):
                await listening(world, UnixAddress(str(path)))
            assert path.read_text() == "data"

    run(main())


@pytest.mark.parametrize("is_tight", [True, False])
def test_an_abstract_socket_has_no_file(run: Run, tmp_path: Path, is_tight: bool) -> None:
    async def main() -> None:
        async with a_world() as world:
            address = UnixAddress(f"{tmp_path}/abstract", is_abstract=True, is_tight=is_tight)
            door = await listening(world, address)
            await visit(socket.AF_UNIX, address.to_kernel())
            await door.close()
            assert os.listdir(tmp_path) == []

    run(main())


def test_a_tcp_port_may_be_left_to_the_kernel(run: Run) -> None:
    async def main() -> None:
        async with a_world() as world:
            door = await listening(world, TcpAddress("127.0.0.1", "0"))
            (name,) = door.names
            client = await visit(socket.AF_INET, name)
            assert world.monitor.clients[0].peer.host == "{}:{}".format(*client.socket.getsockname())
            await door.close()

    run(main())


def test_a_socket_that_listens_may_be_passed(run: Run) -> None:
    async def main() -> None:
        async with a_world() as world:
            passed = socket.create_server(("127.0.0.1", 0))
            name = passed.getsockname()
            door = await listening(world, FdAddress(passed.detach()))
            await visit(socket.AF_INET, name)
            await door.close()

    run(main())


def test_a_connected_socket_may_be_passed(run: Run) -> None:
    async def main() -> None:
        async with a_world() as world:
            ours, theirs = socket.socketpair()
            endpoint = Endpoint(FdAddress(ours.detach()), is_server=False)
            door = await open_door(endpoint, world.monitor, world.clock)
            reader = await Reader.over(theirs)
            await reader.message()
            await reader.negotiate()
            await door.close()

    run(main())


def test_start_may_wait_for_the_first_client(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with a_world() as world:
            path = str(tmp_path / "qmp.sock")
            door = await listening(world, UnixAddress(path))
            waiting = asyncio.create_task(door.first_client())
            await asyncio.sleep(0)
            assert not waiting.done()
            await visit(socket.AF_UNIX, path)
            await waiting
            await door.close()

    run(main())


def test_a_client_that_listens_is_connected_to_again_when_it_was_lost(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with a_world() as world:
            path = str(tmp_path / "client.sock")
            endpoint = Endpoint(UnixAddress(path), is_server=False, reconnect_ms=1000)
            door = await open_door(endpoint, world.monitor, world.clock)
            assert isinstance(door, Connector)
            with socket.socket(socket.AF_UNIX) as client:
                client.bind(path)
                client.listen()
                client.setblocking(False)
                for _ in range(3):
                    connection = await _accept(world, client)
                    reader = await Reader.over(connection)
                    assert "QMP" in await reader.message()
                    reader.close()
            await door.close()

    async def _accept(world: World, client: socket.socket) -> socket.socket:
        while True:
            world.clock.advance(500_000_000)
            await asyncio.sleep(0)
            try:
                return client.accept()[0]
            except BlockingIOError:
                continue

    run(main())


def test_a_client_that_cannot_be_reached_is_named(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with a_world() as world:
            path = str(tmp_path / "nobody")
            endpoint = Endpoint(UnixAddress(path), is_server=False)
            with pytest.raises(QMPError, match=f"Failed to connect to '{path}': No such file or directory"):
                await open_door(endpoint, world.monitor, world.clock)

    run(main())


@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_standard_input_may_be_a_pipe_or_a_file(run: Run, tmp_path: Path, kind: str) -> None:
    script = b'{"execute":"qmp_capabilities"}' + request("slow", 1) + request("nothing", 2)

    def standard_input() -> int:
        if kind == "file":
            (tmp_path / "script").write_bytes(script)
            return os.open(tmp_path / "script", os.O_RDONLY)
        read_fd, write_fd = os.pipe()
        os.write(write_fd, script)
        os.close(write_fd)
        return read_fd

    async def main() -> None:
        async with a_world() as world:
            world.gate.set()
            read_fd, out = standard_input(), os.pipe()
            world.monitor.attach(StdioChannel(read_fd, out[1]), Peer())
            while world.monitor.clients:
                await asyncio.sleep(0)
            assert os.read(out[0], 1 << 16).splitlines()[1:] == [
                b'{"return": {}}',
                b'{"return": "slow", "id": 1}',
                b'{"return": {}, "id": 2}',
            ]
            assert os.get_blocking(read_fd)
            for fd in (read_fd, *out):
                os.close(fd)

    run(main())
