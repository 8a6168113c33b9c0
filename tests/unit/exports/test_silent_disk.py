"""A node whose disk says nothing any more: what is taken away all the same, and how long that may take."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from qmpserver.clock import ManualClock
from qmpserver.drivers.nbd.lifeline import SILENCE_NS
from qmpserver.exports import store
from qmpserver.exports.export import BlockExport
from qmpserver.server import Server
from tests.contract.engine import MemoryFile
from tests.unit.drivers.nbd.tiny_server import TinyServer

SIZE = 4 << 20


@dataclass
class Stage:
    """A server with the qcow2 node `top` over the nbd node `disk`, to whose server something was written."""

    server: Server
    disk: TinyServer
    clock: ManualClock

    async def execute(self, command: str, **arguments: Any) -> Any:
        return await self.server.execute(
            command, {name.replace("_", "-"): value for name, value in arguments.items()}
        )

    def fall_silent(self) -> None:
        self.disk.answer = lambda _, __: None

    async def until_silence_is_noticed(self, work: "asyncio.Future[Any]") -> None:
        while not self.disk.seen:
            await asyncio.sleep(0)
        while not work.done():
            self.clock.advance(SILENCE_NS)
            await asyncio.sleep(0.001)


Body = Callable[[Stage], Coroutine[Any, Any, None]]


async def _image(folder: Path) -> MemoryFile:
    async with Server() as server:
        await server.create_image(str(folder / "image"), "qcow2", SIZE)
    return MemoryFile((folder / "image").read_bytes() + bytes(SIZE))


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Body], None]:
    async def main(body: Body) -> None:
        disk = TinyServer(tmp_path / "nbd.sock", await _image(tmp_path))
        disk.has_holes = False
        disk.start()
        clock = ManualClock()
        server = Server(clock=clock)
        stage = Stage(server, disk, clock)
        async with asyncio.timeout(20):
            address = {"type": "unix", "path": str(disk.path)}
            await stage.execute("blockdev-add", driver="nbd", node_name="disk", server=address)
            await stage.execute("blockdev-add", driver="qcow2", node_name="top", file="disk")
            async with server.backend("top", writable=True) as backend:
                await backend.pwrite(0, memoryview(b"x" * 65536))
            disk.seen.clear()
            await body(stage)
            closing = asyncio.ensure_future(server.close())
            while not closing.done():
                clock.advance(SILENCE_NS)
                await asyncio.sleep(0.001)
            await closing
            await disk.stop()

    return lambda body: asyncio.run(main(body))


def test_a_node_is_deleted_though_its_disk_does_not_answer(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        stage.fall_silent()
        deleting = asyncio.ensure_future(stage.execute("blockdev-del", node_name="top"))
        await stage.until_silence_is_noticed(deleting)
        await deleting
        names = [node["node-name"] for node in await stage.execute("query-named-block-nodes", flat=True)]
        assert names == ["disk"]

    play(body)


def test_a_server_ends_though_its_disk_does_not_answer(play: Callable[[Body], None]) -> None:
    async def body(stage: Stage) -> None:
        stage.fall_silent()

    play(body)


def test_an_export_is_deleted_later_when_its_requests_are_stuck(
    play: Callable[[Body], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PATIENCE_S", 0.01)

    class Stuck(BlockExport):
        """An export whose clients' last requests do not end."""

        export_type = "nbd"

        def __init__(self, stage: Stage) -> None:
            super().__init__("e", stage.server.daemon.graph, writable=False)
            self.last_request: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def shut_down(self) -> None:
            await self.last_request

    async def body(stage: Stage) -> None:
        told: list[Any] = []
        stage.server.daemon.events.subscribe(lambda event: told.append(event.name))
        export = Stuck(stage)
        async with stage.server.daemon.graph.lock:
            await export.open(stage.server.daemon.graph.find("top"))
        stage.server.daemon.exports.add(export)
        await stage.execute("block-export-del", id="e", mode="hard")
        (shown,) = await stage.execute("query-block-exports")
        assert shown["shutting-down"]
        assert not told
        export.last_request.set_result(None)
        while not told:
            await asyncio.sleep(0)
        assert told == ["BLOCK_EXPORT_DELETED"]
        assert await stage.execute("query-block-exports") == []

    play(body)
