"""What a block copy reads and writes is found anew for each request: filters come and go meanwhile."""

import asyncio
from collections.abc import Callable
from typing import Any

from qmpserver.block.backend import BlockBackend
from qmpserver.block.block_copy import BlockCopy
from qmpserver.driver_api.permissions import PERM_ALL, PERM_NONE, PermissionSet

MakeEngine = Callable[[], Any]

CLUSTER = 4096
SIZE = 4 * CLUSTER
ANYTHING = PermissionSet(PERM_NONE, PERM_ALL)


def test_a_filter_over_the_source_may_go_while_it_is_copied(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        source, target = [await engine.add(name, name, size=SIZE) for name in ("source", "target")]
        data = bytes(range(1, 5)) * CLUSTER
        await source.pwrite(0, memoryview(data))
        over = await engine.opener.insert_filter({"driver": "copy-on-read", "node-name": "over"}, source)
        read, written = (BlockBackend(engine.graph, name) for name in ("read", "written"))
        await read.insert(over, ANYTHING)
        await written.insert(target, ANYTHING)
        assert read.root is not None
        assert written.root is not None
        look_up, root = source.driver.map, read.root

        async def look_up_once_more(offset: int, length: int) -> Any:
            source.driver.map = look_up
            engine.graph.lead(root, source)
            await engine.graph.collect(over)
            return await look_up(offset, length)

        source.driver.map = look_up_once_more
        await BlockCopy(read.root, written.root, CLUSTER).copy(0, SIZE)
        assert engine.graph.get("over") is None
        found = bytearray(SIZE)
        await target.pread(0, memoryview(found))
        assert found == data

    asyncio.run(scenario())
