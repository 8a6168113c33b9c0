"""Copy-on-read lets the host copy where it can, and moves the bytes itself where not; the data is the same."""

import asyncio
import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

from qmpserver.block import copy_range
from qmpserver.block.copy_range import copy_between, copy_together
from qmpserver.block.draining import run_drained
from qmpserver.driver_api.flags import COPY_ON_READ, PREFETCH

MakeEngine = Callable[[], Any]

SIZE = 64 * 1024


async def make_chain(engine: Any, **base_options: Any) -> tuple[Any, Any]:
    """Return a top over a base full of data, whose file can copy by itself."""
    base = await engine.add("base", "b", **base_options)
    data = os.urandom(4096)
    for offset in range(0, SIZE, 4096):
        base.driver.table[offset // 4096] = 4096 + offset
    engine.graph.find("base-file").driver.data[:] = bytes(4096) + data * (SIZE // 4096)
    top = await engine.add("top", "t", backing="base")
    engine.graph.find("top-file").driver.copies = []
    return base, top


async def fetch(top: Any, offset: int, length: int) -> None:
    await top.pread(offset, memoryview(bytearray(length)), COPY_ON_READ | PREFETCH)


async def content(node: Any) -> bytes:
    buffer = bytearray(SIZE)
    await node.pread(0, memoryview(buffer))
    return bytes(buffer)


def test_what_a_read_only_base_stores_plainly_is_copied_by_the_host(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        base, top = await make_chain(engine, **{"read-only": True})
        expected = await content(base)
        await fetch(top, 0, SIZE)
        copies = engine.graph.find("top-file").driver.copies
        assert sum(length for _, _, length in copies) == SIZE
        assert len(top.driver.table) == SIZE // 4096
        base.driver.table.clear()
        assert await content(top) == expected
        await top.flush()
        assert engine.graph.find("top-file").driver.flushes == 1

    asyncio.run(scenario())


def test_a_base_that_may_change_is_read_in_the_usual_way(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        base, top = await make_chain(engine)
        expected = await content(base)
        await fetch(top, 0, SIZE)
        assert engine.graph.find("top-file").driver.copies == []
        assert await content(top) == expected

    asyncio.run(scenario())


def test_what_the_host_does_not_copy_is_moved_and_no_room_is_lost(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        base, top = await make_chain(engine, **{"read-only": True})
        expected = await content(base)
        engine.graph.find("top-file").driver.copies = None
        await fetch(top, 0, SIZE)
        assert top.driver.released == SIZE // 4096
        assert await content(top) == expected

    asyncio.run(scenario())


def test_a_failed_copy_gives_its_room_back_and_changes_nothing(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        base, top = await make_chain(engine, **{"read-only": True})
        expected = await content(base)
        file = engine.graph.find("top-file").driver
        file.fail_writes = errno.ENOSPC
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            await fetch(top, 0, SIZE)
        assert top.driver.released == 1
        assert not top.driver.table
        assert await content(top) == expected

    asyncio.run(scenario())


def test_a_read_that_wants_the_bytes_gets_them(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        base, top = await make_chain(engine, **{"read-only": True})
        expected = await content(base)
        buffer = bytearray(100)
        await top.pread(5000, memoryview(buffer), COPY_ON_READ)
        assert buffer == expected[5000:5100]
        assert engine.graph.find("top-file").driver.copies == []

    asyncio.run(scenario())


def test_a_copy_does_not_hold_its_source_while_its_target_is_held_still(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        base, _ = await make_chain(engine)
        target = await engine.add("target", "o")
        engine.graph.find("target-file").driver.copies = []
        tables, begun, go_on = base.driver.map, asyncio.Event(), asyncio.Event()

        async def map_slowly(offset: int, length: int) -> Any:
            begun.set()
            await go_on.wait()
            return await tables(offset, length)

        base.driver.map = map_slowly
        copying = asyncio.ensure_future(copy_between(base, target, 0, SIZE))
        await begun.wait()

        async def nothing() -> None:
            return

        # The target is still already while the source waits for what is in flight.
        holding = asyncio.ensure_future(run_drained([target, base], nothing))
        await asyncio.sleep(0)
        go_on.set()
        async with asyncio.timeout(5):
            assert await copying == 0
            await holding

    asyncio.run(scenario())


def test_what_shows_through_the_target_itself_is_not_waited_for(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        _, target = await make_chain(engine)
        overlay = await engine.add("overlay", "o", backing="top")
        async with asyncio.timeout(5):
            assert await copy_between(overlay, target, 0, SIZE) == 0
        assert not target.driver.table

    asyncio.run(scenario())


RUNS = [(0, 8192), (12288, 4096), (32768, 16384)]


async def make_target(engine: Any) -> tuple[Any, Any, Any]:
    """Return a read-only base full of data, an empty target beside it, and the target's file, which can copy."""
    base, _ = await make_chain(engine, **{"read-only": True})
    target = await engine.add("target", "o")
    file = engine.graph.find("target-file").driver
    file.copies = []
    return base, target, file


def test_several_runs_are_copied_by_one_call(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        base, target, file = await make_target(make_engine())
        copy, calls = file.copy_ranges, []

        async def note(source: Any, ranges: Any, unit: int) -> bool:
            calls.append(len(ranges))
            return bool(await copy(source, ranges, unit))

        file.copy_ranges = note
        assert await copy_together(base, target, RUNS)
        assert calls == [7]
        expected, found = await content(base), await content(target)
        for offset, length in RUNS:
            assert found[offset : offset + length] == expected[offset : offset + length]
        assert len(target.driver.table) == 7
        assert target.driver.released == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("reason", ["the host cannot", "too many", "it is there", "not whole"])
def test_of_several_runs_all_are_copied_or_none(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    async def scenario() -> None:
        base, target, file = await make_target(make_engine())
        runs, before, released = RUNS, {}, 6
        if reason == "the host cannot":
            file.copies, released = None, 7
        elif reason == "too many":
            monkeypatch.setattr(copy_range, "_MOST_ROOMS", 6)
        elif reason == "it is there":
            before = {45056 // 4096: 4096}
            target.driver.table.update(before)
        else:
            runs, released = [(0, 8192), (12288, 1024)], 3
        assert not await copy_together(base, target, runs)
        assert not file.copies
        assert target.driver.released == released
        assert target.driver.table == before

    asyncio.run(scenario())


def test_when_a_copy_of_several_runs_fails_all_room_is_given_back(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        base, target, file = await make_target(make_engine())
        file.fail_writes = errno.ENOSPC
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            await copy_together(base, target, RUNS)
        assert target.driver.released == 7
        assert not target.driver.table

    asyncio.run(scenario())
