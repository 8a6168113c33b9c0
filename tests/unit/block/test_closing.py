"""Closing goes through to the end, whatever one of the nodes makes of it."""

import asyncio
import errno
from collections.abc import Callable

import pytest

from tests.unit.block.conftest import Engine


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "Input/output error"), RuntimeError("a mistake"), asyncio.CancelledError()]
)
def test_what_lies_below_a_node_that_does_not_close_well_closes(
    make_engine: Callable[[], Engine], error: BaseException
) -> None:
    async def main() -> None:
        engine = make_engine()
        below = await engine.add("below", "f")
        above = await engine.add("above", "g", backing="below")
        files = [engine.graph.find(name).driver for name in ("below-file", "above-file")]

        async def close_badly() -> None:
            raise error

        above.driver.close = close_badly
        for node in (above, below):
            node.is_monitor_owned = False
        with pytest.raises(type(error)):
            await engine.graph.collect(above)
        assert not list(engine.graph)
        assert below.driver.closed
        assert [file.closed for file in files] == [True, True]  # type: ignore[attr-defined]

    asyncio.run(main())


def test_a_close_that_is_called_off_while_a_request_is_under_way_leaves_the_node_whole(
    make_engine: Callable[[], Engine],
) -> None:
    async def main() -> None:
        engine = make_engine()
        node = await engine.add("n", "f")
        await node.pwrite(0, memoryview(b"data"))
        file = engine.graph.find("n-file")
        file.driver.gate = asyncio.Event()  # type: ignore[attr-defined]
        found = memoryview(bytearray(4))
        reading = asyncio.ensure_future(node.pread(0, found))
        node.is_monitor_owned = False
        closing = asyncio.ensure_future(engine.graph.collect(node))
        for _ in range(3):
            await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        file.driver.gate.set()  # type: ignore[attr-defined]
        await reading
        assert bytes(found) == b"data"
        await engine.graph.collect(node)
        assert not list(engine.graph)
        assert node.driver.closed

    asyncio.run(main())
