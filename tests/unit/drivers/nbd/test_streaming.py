"""A stream whose base's server dies: what the job was told decides what becomes of it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from qmpserver.events import Event
from qmpserver.server import Server
from tests.contract.engine import MemoryFile
from tests.unit.drivers.nbd.tiny_server import TinyServer

SIZE = 8 << 20


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
            await server.create_image(str(tmp_path / "top"), "qcow2", SIZE)
            address = {"type": "unix", "path": str(base.path)}
            await server.execute("blockdev-add", {"driver": "nbd", "node-name": "base", "server": address})
            file = {"driver": "file", "filename": str(tmp_path / "top")}
            top = {"driver": "qcow2", "node-name": "top", "file": file, "backing": "base"}
            await server.execute("blockdev-add", top)
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
