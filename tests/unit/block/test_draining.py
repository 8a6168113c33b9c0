"""Drained sections: who waits, who passes, and that all go on afterwards."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from qmpserver.block.draining import run_drained

MakeEngine = Callable[[], Any]


async def read(node: Any) -> bytes:
    buffer = bytearray(4)
    await node.pread(0, memoryview(buffer))
    return bytes(buffer)


async def let_run() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_requests_from_within_pass_and_all_others_wait(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        node = await make_engine().add("n", "f")
        below = node.children["file"].node
        await node.pwrite(0, memoryview(b"data"))
        gate = asyncio.Event()

        async def work() -> bytes:
            await gate.wait()
            return await read(node)

        section = asyncio.create_task(run_drained((node, below), work))
        await let_run()
        outside = [asyncio.create_task(read(node)), asyncio.create_task(read(below))]
        await let_run()
        assert not any(task.done() for task in (section, *outside))
        gate.set()
        assert await section == b"data"
        await asyncio.gather(*outside)

    asyncio.run(scenario())


def test_a_section_within_a_section_is_as_good_as_both(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        one, other = await engine.add("one", "f"), await engine.add("other", "g")

        async def both() -> None:
            await read(one)
            await read(other)

        await run_drained((one,), partial(run_drained, (other,), both))
        await both()

    asyncio.run(scenario())


def test_sections_beside_each_other_take_turns_with_no_deadlock(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        node = await engine.add("n", "f")
        below = node.children["file"].node
        await asyncio.gather(
            *(run_drained((node, below), partial(read, node)) for _ in range(5)),
            *(run_drained((below,), partial(read, below)) for _ in range(5)),
            *(read(node) for _ in range(5)),
        )

    asyncio.run(scenario())


def test_what_outlives_a_section_no_longer_passes(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        node = await make_engine().add("n", "f")
        gate = asyncio.Event()
        left: list[asyncio.Task[bytes]] = []

        async def late() -> bytes:
            await gate.wait()
            return await read(node)

        async def work() -> None:
            left.append(asyncio.create_task(late()))

        await run_drained((node,), work)
        async with node.drained():
            gate.set()
            await let_run()
            assert not left[0].done()
        await left[0]

    asyncio.run(scenario())


def test_work_ends_though_its_caller_is_called_off(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        node = await make_engine().add("n", "f")
        gate, ended = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            await gate.wait()
            ended.set()

        task = asyncio.create_task(run_drained((node,), work))
        await let_run()
        task.cancel()
        await let_run()
        assert not task.done()
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()
        await read(node)

    asyncio.run(scenario())


def test_what_work_raises_is_raised_and_the_node_goes_on(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        node = await make_engine().add("n", "f")

        async def work() -> None:
            raise OSError(5, "no")

        with pytest.raises(OSError, match="no"):
            await run_drained((node,), work)
        await read(node)

    asyncio.run(scenario())
