"""What is written is read back, through backing files, copy-on-write, zeroes and discards."""

import asyncio
import errno
import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from qmpserver.driver_api import flags
from tests.unit.block.memory_drivers import FILES, MemoryFile, MemoryFormat

SIZE = 64 * 1024

MakeEngine = Callable[[], Any]


async def read(node: Any, offset: int, length: int, request_flags: int = 0) -> bytes:
    buffer = bytearray(b"\xee" * length)
    await node.pread(offset, memoryview(buffer), request_flags)
    return bytes(buffer)


def test_reading_past_the_end_gives_zeroes(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        node = await make_engine().add("n", "f")
        await node.pwrite(SIZE - 4, memoryview(b"tail"))
        assert await read(node, SIZE - 4, 8) == b"tail\0\0\0\0"

    asyncio.run(scenario())


def test_writing_past_the_end_of_a_format_is_an_error(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        node = await make_engine().add("n", "f")
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            await node.pwrite(SIZE - 1, memoryview(b"ab"))

    asyncio.run(scenario())


def test_a_read_only_node_refuses_writes(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        node = await make_engine().add("n", "f", **{"read-only": True})
        with pytest.raises(OSError, match=os.strerror(errno.EPERM)):
            await node.pwrite(0, memoryview(b"ab"))

    asyncio.run(scenario())


def test_a_backing_file_smaller_than_its_overlay_reads_as_zeroes_past_its_end(
    make_engine: MakeEngine,
) -> None:
    async def scenario() -> None:
        engine = make_engine()
        base = await engine.add("base", "b", size=8192)
        await base.pwrite(0, memoryview(b"B" * 8192))
        top = await engine.add("top", "t", backing="base")
        assert await read(top, 8000, 400) == b"B" * 192 + bytes(208)

    asyncio.run(scenario())


def test_a_partial_write_keeps_the_rest_of_the_cluster_from_below(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        base = await engine.add("base", "b")
        await base.pwrite(0, memoryview(b"B" * 8192))
        top = await engine.add("top", "t", backing="base")
        await top.pwrite(4000, memoryview(b"T" * 200))
        assert await read(top, 0, 8192) == b"B" * 4000 + b"T" * 200 + b"B" * 3992
        assert await read(base, 0, 8192) == b"B" * 8192

    asyncio.run(scenario())


def test_a_failed_copy_on_write_gives_its_room_back_and_changes_nothing(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        node = await engine.add("n", "f")
        file: MemoryFile = engine.graph.find("n-file").driver
        file.fail_writes = errno.ENOSPC
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            await node.pwrite(0, memoryview(b"x"))
        driver: MemoryFormat = node.driver
        assert driver.released == 1
        assert not driver.table

    asyncio.run(scenario())


def test_two_writes_into_one_new_cluster_at_once_both_stay(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        node = await engine.add("n", "f")
        gate = asyncio.Event()
        engine.graph.find("n-file").driver.gate = gate
        writes = [
            asyncio.create_task(node.pwrite(offset, memoryview(bytes([offset + 1]) * 100)))
            for offset in (0, 100, 200)
        ]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*writes)
        assert await read(node, 0, 300) == b"\x01" * 100 + b"\x65" * 100 + b"\xc9" * 100

    asyncio.run(scenario())


def test_copy_on_read_stores_what_it_fetched_and_prefetch_returns_nothing(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        base = await engine.add("base", "b")
        await base.pwrite(0, memoryview(b"B" * 4096))
        top = await engine.add("top", "t", backing="base")
        assert await read(top, 10, 20, flags.COPY_ON_READ) == b"B" * 20
        assert top.driver.table == {0: 4096}
        await top.pread(4096, memoryview(bytearray(4096)), flags.COPY_ON_READ | flags.PREFETCH)
        assert top.driver.table == {0: 4096, 1: None}, "zeroes are stored as zeroes"

    asyncio.run(scenario())


def test_zeroes_are_detected_only_when_asked_for(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        plain = await engine.add("plain", "p")
        detecting = await engine.add("detecting", "d", **{"detect-zeroes": "on"})
        for node in (plain, detecting):
            await node.pwrite(0, memoryview(bytes(4096)))
        assert plain.driver.table == {0: 4096}
        assert detecting.driver.table == {0: None}

    asyncio.run(scenario())


def test_a_discard_is_passed_down_only_with_discard_unmap(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        for name, options, left in (("keep", {}, {0: 4096}), ("drop", {"discard": "unmap"}, {})):
            node = await engine.add(name, name, **options)
            await node.pwrite(0, memoryview(b"x" * 4096))
            await node.pdiscard(0, 4096)
            assert node.driver.table == left

    asyncio.run(scenario())


def test_unaligned_requests_on_an_aligned_child_are_widened(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        FILES["f"] = bytearray(range(256)) * 16
        node = await engine.opener.open(
            {"driver": "file", "node-name": "n", "filename": "f", "x-alignment": 512}
        )
        before = bytes(FILES["f"])
        assert await read(node, 300, 100) == before[300:400]
        await asyncio.gather(
            node.pwrite(500, memoryview(b"abc")),
            node.pwrite(510, memoryview(b"defg")),
        )
        assert bytes(FILES["f"]) == before[:500] + b"abc" + before[503:510] + b"defg" + before[514:]

    asyncio.run(scenario())


def test_a_flush_with_nothing_written_reaches_no_file(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        node = await engine.add("n", "f")
        file = engine.graph.find("n-file")
        await node.flush()
        assert file.driver.flushes == 0
        await node.pwrite(0, memoryview(b"x"))
        await node.flush()
        await node.flush()
        assert file.driver.flushes == 1

    asyncio.run(scenario())


def test_a_drained_node_holds_new_requests_back_and_waits_for_those_in_flight(
    make_engine: MakeEngine,
) -> None:
    async def scenario() -> None:
        engine = make_engine()
        node = await engine.add("n", "f")
        gate = asyncio.Event()
        engine.graph.find("n-file").driver.gate = gate
        first = asyncio.create_task(node.pwrite(0, memoryview(b"1")))
        await asyncio.sleep(0)
        entered = asyncio.Event()

        async def drain() -> None:
            async with node.drained():
                entered.set()
                await asyncio.sleep(0)
                assert not late.done()

        draining = asyncio.create_task(drain())
        await asyncio.sleep(0)
        late = asyncio.create_task(node.pwrite(1, memoryview(b"2")))
        await asyncio.sleep(0)
        assert not entered.is_set()
        gate.set()
        await asyncio.gather(first, draining, late)
        assert await read(node, 0, 2) == b"12"

    asyncio.run(scenario())


@pytest.mark.parametrize("seed", range(8))
def test_random_operations_agree_with_a_plain_model(make_engine: MakeEngine, seed: int) -> None:
    rng = random.Random(seed)

    async def scenario() -> None:
        engine = make_engine()
        base = await engine.add("base", "b", size=40 * 1024, discard="unmap")
        content = rng.randbytes(40 * 1024)
        await base.pwrite(0, memoryview(content))
        top = await engine.add("top", "t", backing="base", discard="unmap")
        model = bytearray(content + bytes(SIZE - len(content)))
        for _ in range(300):
            offset = rng.randrange(SIZE)
            length = rng.randrange(1, min(SIZE - offset, 12_000) + 1)
            match rng.randrange(5):
                case 0 | 1:
                    data = rng.randbytes(length)
                    await top.pwrite(offset, memoryview(data))
                    model[offset : offset + length] = data
                case 2:
                    await top.pwrite_zeroes(offset, length, flags.MAY_UNMAP)
                    model[offset : offset + length] = bytes(length)
                case 3:
                    assert (
                        await read(top, offset, length, flags.COPY_ON_READ) == model[offset : offset + length]
                    )
                case _:
                    assert await read(top, offset, length) == model[offset : offset + length]
        assert await read(top, 0, SIZE) == model
        assert await read(base, 0, len(content)) == content

    asyncio.run(scenario())


def test_what_a_write_stored_before_it_failed_is_flushed(make_engine: MakeEngine) -> None:
    async def main() -> None:
        engine = make_engine()
        node = await engine.add("n", "f")
        file: Any = engine.graph.find("n-file").driver
        allocate = node.driver.allocate

        async def allocate_once(offset: int, length: int) -> Any:
            if offset:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return await allocate(offset, length)

        node.driver.allocate = allocate_once
        with pytest.raises(OSError, match="No space left on device"):
            await node.pwrite(0, memoryview(b"x" * 8192))
        await node.flush()
        assert file.flushes == 1

    asyncio.run(main())
