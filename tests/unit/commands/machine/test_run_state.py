"""Commands about the run state reach what has to do with it."""

import asyncio
from pathlib import Path
from typing import Any

from qmpserver.clock import SystemClock
from qmpserver.machine.machine import Machine
from qmpserver.schema.loader import load
from qmpserver.server import Server

SCHEMA = load(with_machine=True)
BACKUP = {"job-id": "j", "device": "bad", "target": "target", "sync": "full", "on-source-error": "stop"}


def bad_disk(image: Path) -> dict[str, Any]:
    image.write_bytes(b"x" * (1 << 20))
    error = {"event": "none", "iotype": "read", "errno": 5}
    file = {"driver": "file", "filename": str(image)}
    return {"driver": "blkdebug", "node-name": "bad", "image": file, "inject-error": [error]}


def test_jobs_that_an_error_has_stopped_show_it_until_the_machine_runs(tmp_path: Path) -> None:
    async def main() -> None:
        machine = Machine(SCHEMA, SystemClock())
        stopped = asyncio.Event()
        machine.events.subscribe(lambda event: stopped.set() if event.name == "BLOCK_JOB_ERROR" else None)
        async with Server(daemon=machine) as server:
            await server.execute("blockdev-add", bad_disk(tmp_path / "image"))
            await server.execute(
                "blockdev-add", {"driver": "null-co", "node-name": "target", "size": 1 << 20}
            )
            await server.execute("blockdev-backup", BACKUP)
            await asyncio.wait_for(stopped.wait(), 10)
            (job,) = await server.execute("query-block-jobs")
            assert (job["io-status"], job["paused"]) == ("failed", True)
            await server.execute("cont")
            (job,) = await server.execute("query-block-jobs")
            assert (job["io-status"], job["paused"]) == ("ok", True)
            await server.execute("block-job-cancel", {"device": "j", "force": True})

    asyncio.run(main())


def test_inactive_nodes_are_taken_up_again_before_the_machine_runs() -> None:
    async def main() -> None:
        async with Server(daemon=Machine(SCHEMA, SystemClock())) as server:
            node = {"driver": "null-co", "node-name": "n", "size": 1 << 20, "active": False}
            await server.execute("blockdev-add", node)
            assert not (await server.execute("query-named-block-nodes"))[0]["active"]
            await server.execute("cont")
            assert (await server.execute("query-named-block-nodes"))[0]["active"]
            assert await server.execute("query-status") == {"running": True, "status": "running"}

    asyncio.run(main())
