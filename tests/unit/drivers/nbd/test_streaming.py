"""A stream whose base's server dies: what the job was told decides what becomes of it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qmpserver.clock import ManualClock
from qmpserver.events import Event
from qmpserver.nbd.constants import Command
from qmpserver.nbd.server_requests import ReplyWriter, Request
from qmpserver.server import Server
from tests.contract.engine import MemoryFile
from tests.unit.drivers.nbd.tiny_server import TinyServer

SIZE = 8 << 20


async def put_top_over(server: Server, base: TinyServer, image: Path) -> None:
    """Add the node `base`, an export, and over it the empty image `top`."""
    await server.create_image(str(image), "qcow2", SIZE)
    address = {"type": "unix", "path": str(base.path)}
    await server.execute("blockdev-add", {"driver": "nbd", "node-name": "base", "server": address})
    file = {"driver": "file", "filename": str(image)}
    top = {"driver": "qcow2", "node-name": "top", "file": file, "backing": "base"}
    await server.execute("blockdev-add", top)


async def until_it_is_back(server: Server) -> None:
    async with server.backend("base") as backend:
        while True:
            try:
                await backend.pread(0, memoryview(bytearray(512)))
            except OSError:
                await asyncio.sleep(0)
            else:
                return


@pytest.mark.parametrize(("on_error", "action"), [("report", "report"), ("stop", "stop")])
def test_a_server_that_dies_under_a_stream(tmp_path: Path, on_error: str, action: str) -> None:
    events: asyncio.Queue[Event] = asyncio.Queue()

    async def next_event(*names: str) -> Any:
        while (event := await events.get()).name not in names:
            pass
        return event.to_wire()

    base = TinyServer(tmp_path / "nbd.sock", MemoryFile(bytes(range(1, 129)) * (SIZE // 128)))

    base.has_holes = False

    async def main() -> None:
        base.start()
        async with asyncio.timeout(20), Server() as server:
            await put_top_over(server, base, tmp_path / "top")
            server.daemon.events.subscribe(events.put_nowait)
            base.dies_of_reads = True
            await server.execute("block-stream", {"job-id": "j", "device": "top", "on-error": on_error})
            error = await next_event("BLOCK_JOB_ERROR")
            assert error["data"] == {"device": "j", "operation": "read", "action": action}
            base.dies_of_reads = False
            if action == "stop":
                while (await server.execute("query-block-jobs"))[0]["status"] != "paused":
                    await asyncio.sleep(0)
                await until_it_is_back(server)
                await server.execute("block-job-resume", {"device": "j"})
                assert "error" not in (await next_event("BLOCK_JOB_COMPLETED"))["data"]
            else:
                assert (await next_event("BLOCK_JOB_COMPLETED"))["data"]["error"] == "Input/output error"
                await until_it_is_back(server)
                await server.execute("block-stream", {"job-id": "j", "device": "top"})
                assert "error" not in (await next_event("BLOCK_JOB_COMPLETED"))["data"]
            async with server.backend("top") as backend:
                into = bytearray(SIZE)
                await backend.pread(0, memoryview(into))
                assert into == base.file.data
        await base.stop()

    asyncio.run(main())


@pytest.mark.parametrize("command", ["blockdev-mirror", "blockdev-backup"])
def test_a_job_that_is_called_off_does_not_wait_for_a_target_that_is_away(
    tmp_path: Path, command: str
) -> None:
    target = TinyServer(tmp_path / "nbd.sock", MemoryFile(bytes(SIZE)))
    seen = asyncio.Event()

    def hold(request: Request, replies: ReplyWriter) -> bytes | None:
        if request.command not in (Command.WRITE, Command.WRITE_ZEROES):
            return replies.done(request)
        seen.set()
        return None

    async def main() -> None:
        target.start()
        async with asyncio.timeout(20), Server(clock=ManualClock()) as server:
            address = {"type": "unix", "path": str(target.path)}
            node = {"driver": "nbd", "node-name": "t", "server": address, "reconnect-delay": 3600}
            await server.execute("blockdev-add", node)
            node = {"driver": "null-co", "node-name": "s", "size": SIZE, "read-zeroes": True}
            await server.execute("blockdev-add", node)
            target.answer = hold
            job = {"job-id": "j", "device": "s", "target": "t", "sync": "full"}
            await server.execute(command, job)
            await seen.wait()
            await target.stop()
            await server.execute("job-cancel", {"id": "j"})
            while await server.execute("query-jobs"):
                await asyncio.sleep(0)

    asyncio.run(main())


def test_a_stream_from_a_sparse_base_asks_only_for_its_data(tmp_path: Path) -> None:
    """What the server says is a hole is neither read nor stored: reads are counted, byte by byte."""
    data = bytes(range(1, 129)) * (SIZE // 128)
    base = TinyServer(tmp_path / "nbd.sock", MemoryFile(data[: SIZE // 2] + bytes(SIZE // 2)))

    async def main() -> None:
        base.start()
        async with asyncio.timeout(20), Server() as server:
            await put_top_over(server, base, tmp_path / "top")
            base.answer = _tell_the_second_half_is_a_hole(base)
            await server.execute("block-stream", {"job-id": "j", "device": "top"})
            while await server.execute("query-jobs"):
                await asyncio.sleep(0)
            base.answer = None
            async with server.backend("top") as backend:
                into = bytearray(SIZE)
                await backend.pread(0, memoryview(into))
                assert into == base.file.data
        await base.stop()

    asyncio.run(main())
    reads = [request for request in base.seen if request.command == Command.READ]
    assert sum(request.length for request in reads) == SIZE // 2
    assert max(request.offset + request.length for request in reads) == SIZE // 2
    assert not [request for request in base.seen if request.command in (Command.WRITE, Command.WRITE_ZEROES)]


def _tell_the_second_half_is_a_hole(base: TinyServer) -> Callable[[Request, ReplyWriter], bytes]:
    def answer(request: Request, replies: ReplyWriter) -> bytes:
        end = request.offset + request.length
        if request.command == Command.READ:
            return replies.read_header(request) + base.file.data[request.offset : end]
        if request.command != Command.BLOCK_STATUS:
            return replies.done(request)
        data = max(min(end, SIZE // 2) - request.offset, 0)
        extents = [extent for extent in ((data, 0), (request.length - data, 3)) if extent[0]]
        return replies.block_status(request, 1, extents, is_last=True)

    return answer
