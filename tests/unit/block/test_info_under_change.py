"""What is shown of nodes is of one moment, though asking for sizes takes a while."""

import asyncio
from collections.abc import Callable

import pytest

from qmpserver.block import info
from qmpserver.driver_api.opening import OpenContext
from tests.unit.block.conftest import Engine
from tests.unit.block.memory_drivers import MemoryFormat


def test_nodes_that_close_while_sizes_are_asked_for_are_not_shown(make_engine: Callable[[], Engine]) -> None:
    async def main() -> None:
        engine = make_engine()
        below = await engine.add("below", "f")
        above = await engine.opener.open({"driver": "copy-on-read", "node-name": "over", "file": "below"})
        asked, answer = asyncio.Event(), asyncio.Event()

        async def size_slowly() -> int:
            asked.set()
            await answer.wait()
            if below.driver.closed:
                raise OSError(9, "Bad file descriptor")
            return 7

        below.driver.allocated_size = size_slowly
        asking = asyncio.ensure_future(info.allocated_sizes(engine.graph))
        await asked.wait()
        for node in (above, below):
            node.is_monitor_owned = False
        await engine.graph.collect(above)
        answer.set()
        sizes = await asking
        assert "below" not in sizes
        assert [info.block_device_info(node, sizes, flat=False) for node in engine.graph] == []

    asyncio.run(main())


def test_a_node_in_the_making_is_not_shown_as_a_user(
    make_engine: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        engine = make_engine()
        begun, go_on = asyncio.Event(), asyncio.Event()
        really_open = MemoryFormat.open

        async def open_slowly(context: OpenContext) -> MemoryFormat:
            begun.set()
            await go_on.wait()
            return await really_open(context)

        monkeypatch.setattr(MemoryFormat, "open", open_slowly)
        opening = asyncio.ensure_future(engine.add("n", "f"))
        await begun.wait()
        shown = info.block_graph(engine.graph)
        assert [node["name"] for node in shown["nodes"]] == ["n-file"]
        assert shown["edges"] == []
        go_on.set()
        await opening
        assert [node["name"] for node in info.block_graph(engine.graph)["nodes"]] == ["n", "n-file"]

    asyncio.run(main())
