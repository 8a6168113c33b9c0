"""The server as a library: commands, images, backends and listeners, and an end that leaves nothing open."""

import asyncio
import contextlib
import json
import os
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from qmpserver.errors import CommandNotFound, ParameterError, QMPError
from qmpserver.server import Server
from qmpserver.units import KiB, MiB

Scenario = Callable[[Server], Coroutine[Any, Any, None]]

SIZE = MiB


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Scenario], None]:
    """Run a scenario on a server in an empty folder; an error that nobody awaited fails the test."""
    monkeypatch.chdir(tmp_path)

    def run(scenario: Scenario) -> None:
        async def main() -> None:
            unhandled: list[Any] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
            async with asyncio.timeout(20), Server() as server:
                await scenario(server)
            assert not unhandled

        asyncio.run(main())

    return run


def _qcow2(name: str, filename: str, **options: Any) -> dict[str, Any]:
    file = {"driver": "file", "filename": filename}
    return {"driver": "qcow2", "node-name": name, "file": file, **options}


async def _names(server: Server) -> list[str]:
    return [node["node-name"] for node in await server.execute("query-named-block-nodes", {"flat": True})]


async def _make_chain(server: Server) -> None:
    """Open `top` over `base`, the base full of data."""
    await server.create_image("base.qcow2", "qcow2", SIZE)
    await server.create_image("top.qcow2", "qcow2", SIZE, backing_file="base.qcow2")
    await server.execute("blockdev-add", _qcow2("base", "base.qcow2"))
    async with server.backend("base", writable=True) as backend:
        await backend.pwrite(0, memoryview(b"b" * SIZE))
    await server.execute("blockdev-add", _qcow2("top", "top.qcow2", backing="base"))


def _write(name: str, data: bytes) -> None:
    Path(name).write_bytes(data)


def _read(name: str) -> bytes | None:
    """Return a file's content, or None when there is no such file."""
    return Path(name).read_bytes() if Path(name).exists() else None


def _open_files(folder: Path) -> list[str]:
    found = []
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
    return [name for name in found if name.startswith(str(folder))]


# Commands


def test_a_command_is_checked_and_answered_as_a_client_is(play: Callable[[Scenario], None]) -> None:
    async def scenario(server: Server) -> None:
        assert await server.execute("blockdev-add", {"driver": "null-co", "node-name": "n"}) is None
        assert await _names(server) == ["n"]
        with pytest.raises(CommandNotFound, match="The command nonsense has not been found"):
            await server.execute("nonsense")
        with pytest.raises(ParameterError, match="Parameter 'node-name' is missing"):
            await server.execute("blockdev-del")
        with pytest.raises(QMPError, match="Failed to find node with node-name='m'"):
            await server.execute("blockdev-del", {"node-name": "m"})

    play(scenario)


def test_a_command_whose_caller_gives_up_is_carried_out_all_the_same(
    play: Callable[[Scenario], None], tmp_path: Path
) -> None:
    async def scenario(server: Server) -> None:
        await server.create_image("a.qcow2", "qcow2", SIZE)
        for command, arguments in (
            ("blockdev-add", _qcow2("a", "a.qcow2")),
            ("blockdev-del", {"node-name": "a"}),
        ):
            for turns in range(4):
                async with server.daemon.graph.lock:
                    call = asyncio.ensure_future(server.execute(command, arguments))
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    call.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await call
            del command, arguments
        await server.close()
        assert not _open_files(tmp_path)

    play(scenario)


@pytest.mark.parametrize("turns", range(1, 12, 2))
def test_giving_up_on_a_command_half_way_leaves_no_half_open_node(
    play: Callable[[Scenario], None], tmp_path: Path, turns: int
) -> None:
    async def scenario(server: Server) -> None:
        await _make_chain(server)
        steps: list[tuple[str, dict[str, Any]]] = [
            ("blockdev-add", _qcow2("more", "more.qcow2")),
            ("block-stream", {"job-id": "j", "device": "top", "auto-finalize": False}),
            ("blockdev-del", {"node-name": "more"}),
        ]
        await server.create_image("more.qcow2", "qcow2", SIZE)
        for command, arguments in steps:
            call = asyncio.ensure_future(server.execute(command, arguments))
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            with contextlib.suppress(asyncio.CancelledError, QMPError):
                await call
        async with server.daemon.graph.lock:
            for node in server.daemon.graph:
                assert node.parents or node.is_monitor_owned, node.node_name
        await server.close()
        assert not list(server.daemon.graph)
        assert not _open_files(tmp_path)

    play(scenario)


# Images


def test_an_image_is_made_opened_and_used(play: Callable[[Scenario], None]) -> None:
    async def scenario(server: Server) -> None:
        await _make_chain(server)
        read = memoryview(bytearray(8))
        async with server.backend("top", writable=True) as backend:
            await backend.pwrite(4, memoryview(b"TTTT"))
            await backend.pread(0, read)
        assert bytes(read) == b"bbbbTTTT"
        assert not await _parents(server, "top")

    play(scenario)


async def _parents(server: Server, name: str) -> list[Any]:
    return server.daemon.graph.find(name).parents


def test_an_image_in_use_is_not_made_anew(play: Callable[[Scenario], None]) -> None:
    async def scenario(server: Server) -> None:
        await _make_chain(server)
        before = _read("base.qcow2")
        with pytest.raises(QMPError, match='Failed to get "write" lock'):
            await server.create_image("base.qcow2", "qcow2", SIZE)
        assert _read("base.qcow2") == before
        assert len(list(server.daemon.graph)) == 4

    play(scenario)


@pytest.mark.parametrize("options", [{"size": -1}, {"size": SIZE, "cluster_size": 3}, {"size": 1 << 62}])
def test_an_option_that_cannot_be_had_leaves_an_old_file_alone(
    play: Callable[[Scenario], None], options: dict[str, Any]
) -> None:
    async def scenario(server: Server) -> None:
        _write("old", b"precious")
        with pytest.raises((QMPError, OSError)):
            await server.create_image("old", "qcow2", **options)
        assert _read("old") == b"precious"
        with pytest.raises((QMPError, OSError)):
            await server.create_image("new", "qcow2", **options)
        assert _read("new") is None
        assert not list(server.daemon.graph)

    play(scenario)


def test_a_format_that_images_cannot_be_made_of_is_refused_before_a_file_is_made(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(server: Server) -> None:
        for image_format in ("null-co", "nonsense"):
            with pytest.raises(QMPError):
                await server.create_image("new", image_format, SIZE)
        assert _read("new") is None

    play(scenario)


def test_a_backend_refuses_what_its_node_cannot_do(play: Callable[[Scenario], None]) -> None:
    async def scenario(server: Server) -> None:
        await server.execute("blockdev-add", {"driver": "null-co", "node-name": "n", "read-only": True})
        with pytest.raises(QMPError, match="Block node is read-only"):
            async with server.backend("n", writable=True):
                pass
        with pytest.raises(QMPError, match="Cannot find device='m' nor node-name='m'"):
            async with server.backend("m"):
                pass
        async with server.backend("n") as backend:
            with pytest.raises(OSError, match="Input/output error"):
                await backend.pread(backend.node.size - 1, memoryview(bytearray(2)))
            with pytest.raises(OSError, match="Operation not permitted"):
                await backend.pwrite(0, memoryview(b"x"))
            with pytest.raises(QMPError, match="Node n is in use"):
                await server.execute("blockdev-del", {"node-name": "n"})
        await server.execute("blockdev-del", {"node-name": "n"})

    play(scenario)


# What fails leaves nothing behind


def test_a_node_that_cannot_be_opened_lets_go_of_the_locks_it_had_on_others(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(server: Server) -> None:
        _write("plain", bytes(64 * KiB))
        await server.execute("blockdev-add", {"driver": "file", "node-name": "f", "filename": "plain"})
        with pytest.raises(QMPError, match="Image is not in qcow2 format"):
            await server.execute("blockdev-add", {"driver": "qcow2", "node-name": "q", "file": "f"})
        other = {"driver": "file", "node-name": "g", "filename": "plain"}
        await server.execute("blockdev-add", {"driver": "raw", "node-name": "r", "file": other})
        async with server.backend("r", writable=True) as backend:
            await backend.pwrite(0, memoryview(b"x"))

    play(scenario)


def test_nodes_close_even_when_a_file_that_stays_open_cannot_go_back_to_reading(
    play: Callable[[Scenario], None], tmp_path: Path
) -> None:
    async def scenario(server: Server) -> None:
        await server.create_image("a.qcow2", "qcow2", SIZE)
        file = {"driver": "file", "node-name": "f", "filename": "a.qcow2", "auto-read-only": True}
        await server.execute("blockdev-add", file)
        await server.execute("blockdev-add", {"driver": "qcow2", "node-name": "q", "file": "f"})
        os.rename("a.qcow2", "b.qcow2")
        await server.execute("blockdev-del", {"node-name": "q"})
        assert await _names(server) == ["f"]
        await server.execute("blockdev-del", {"node-name": "f"})
        assert not _open_files(tmp_path)

    play(scenario)


# Listening, and the end


class _Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def at(cls, path: str) -> "_Client":
        client = cls(*await asyncio.open_unix_connection(path))
        await client.receive()
        client.send("qmp_capabilities")
        await client.receive()
        return client

    def send(self, command: str, **arguments: Any) -> None:
        self._writer.write(json.dumps({"execute": command, "arguments": arguments}).encode())

    async def receive(self) -> Any:
        line = await self._reader.readline()
        return json.loads(line) if line else None

    async def rest(self) -> list[Any]:
        """Return what comes until the server hangs up."""
        lines = (await self._reader.read()).splitlines()
        self._writer.close()
        return [json.loads(line) for line in lines]


@pytest.mark.parametrize("state", ["running", "paused", "pending", "concluded"])
def test_the_end_calls_jobs_off_whatever_their_state_and_clients_hear_of_it(
    play: Callable[[Scenario], None], tmp_path: Path, state: str
) -> None:
    async def scenario(server: Server) -> None:
        await _make_chain(server)
        await server.listen("qmp.sock")
        client = await _Client.at("qmp.sock")
        speed = 1 if state in {"running", "paused"} else 0
        wanted = "running" if speed else state
        client.send(
            "block-stream",
            **{
                "job-id": "j",
                "device": "top",
                "speed": speed,
                "auto-finalize": state != "pending",
                "auto-dismiss": state != "concluded",
            },
        )
        while (job := server.daemon.jobs.get("j")) is None or job.status.value != wanted:
            await client.receive()
        if state == "paused":
            await server.execute("job-pause", {"id": "j"})
        await server.close()
        told = [message for message in await client.rest() if message.get("event") == "JOB_STATUS_CHANGE"]
        assert told[-1]["data"] == {"id": "j", "status": "null"}
        assert "qmp.sock" not in os.listdir(tmp_path)
        assert not list(server.daemon.graph)
        assert not _open_files(tmp_path)

    play(scenario)


def test_commands_that_come_during_the_end_open_nothing(
    play: Callable[[Scenario], None], tmp_path: Path
) -> None:
    async def scenario(server: Server) -> None:
        await server.create_image("a.qcow2", "qcow2", SIZE)
        await server.listen("qmp.sock")
        clients = [await _Client.at("qmp.sock") for _ in range(5)]
        for number, client in enumerate(clients):
            for again in range(4):
                client.send("blockdev-add", **_qcow2(f"n{number}.{again}", "a.qcow2", **{"read-only": True}))
        for _ in range(3):
            await asyncio.sleep(0)
        await server.close()
        for client in clients:
            await client.rest()
        assert not list(server.daemon.graph)
        assert not _open_files(tmp_path)

    play(scenario)


def test_closing_twice_is_harmless(play: Callable[[Scenario], None]) -> None:
    async def scenario(server: Server) -> None:
        await server.listen("qmp.sock")
        await server.close()
        await server.close()

    play(scenario)


def test_a_node_that_the_program_itself_uses_closes_when_it_is_done(
    play: Callable[[Scenario], None], tmp_path: Path
) -> None:
    async def scenario(server: Server) -> None:
        await _make_chain(server)
        async with server.backend("top", writable=True) as backend:
            await server.close()
            assert await _names(server) != []
            await backend.pwrite(0, memoryview(b"late"))
        assert await _names(server) == []
        assert not _open_files(tmp_path)

    play(scenario)


@pytest.mark.parametrize("path", ["missing/qmp.sock", "p" * 200, "."])
def test_an_address_that_cannot_be_had_is_refused_by_name(
    play: Callable[[Scenario], None], path: str
) -> None:
    async def scenario(server: Server) -> None:
        with pytest.raises(QMPError, match=re.escape(path)):
            await server.listen(path)
        await server.listen("qmp.sock")
        client = await _Client.at("qmp.sock")
        await server.close()
        assert await client.rest() == []

    play(scenario)
