"""What is known to be zeroes below is stored as such, and not read first."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from qmpserver.driver_api.flags import COPY_ON_READ, PREFETCH
from qmpserver.server import Server

CLUSTER = 65536
SIZE = 4 * CLUSTER


def test_zeroes_that_the_chain_knows_are_fetched_without_reading_them(tmp_path: Path) -> None:
    base, overlay = tmp_path / "base", tmp_path / "overlay"
    base.write_bytes(b"x" * CLUSTER)
    os.truncate(base, SIZE)

    async def main() -> None:
        async with Server() as server:
            await server.create_image(str(overlay), "qcow2", SIZE)
            failing: dict[str, Any] = {
                "driver": "blkdebug",
                "image": {"driver": "file", "filename": str(base)},
                "inject-error": [{"event": "none", "iotype": "read"}],
            }
            await server.execute("blockdev-add", {"driver": "raw", "node-name": "b", "file": failing})
            file = {"driver": "file", "filename": str(overlay)}
            await server.execute(
                "blockdev-add", {"driver": "qcow2", "node-name": "o", "file": file, "backing": "b"}
            )
            async with server.backend("o", writable=True):
                node = server.daemon.graph.find("o")
                before = node._write_generation
                await node.pread(CLUSTER, memoryview(bytearray(3 * CLUSTER)), COPY_ON_READ | PREFETCH)
                status = await node.block_status(CLUSTER, 3 * CLUSTER)
                assert (status.length, status.is_zero, status.is_allocated) == (3 * CLUSTER, True, True)
                # Something is there to be flushed.
                assert node._write_generation > before
                with pytest.raises(OSError, match="Input/output error"):
                    await node.pread(0, memoryview(bytearray(CLUSTER)), COPY_ON_READ | PREFETCH)

    asyncio.run(main())
