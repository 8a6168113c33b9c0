"""The copy engine keeps within its bounds, and tells what became of every chunk."""

import asyncio
import errno

from qmpserver.block.copy import CHUNK, CopyEngine


def test_no_more_chunks_are_in_flight_than_agreed_and_each_is_told_of() -> None:
    async def scenario() -> None:
        running = most = 0
        told: list[tuple[int, int, bool]] = []

        async def move(offset: int, length: int) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1
            if offset == 3:
                raise OSError(errno.EIO, "bad")

        engine = CopyEngine(move, lambda *outcome: told.append((*outcome[:2], outcome[2] is None)), 4)
        for offset in range(20):
            await engine.submit(offset, 1)
        await engine.settle()
        assert most == 4
        assert engine.in_flight == 0
        assert sorted(told) == [(offset, 1, offset != 3) for offset in range(20)]

    asyncio.run(scenario())


def test_room_is_lent_again_and_a_larger_chunk_gets_room_of_its_own() -> None:
    async def move(offset: int, length: int) -> None:
        del offset, length

    async def scenario() -> None:
        engine = CopyEngine(move, lambda *_: None)
        first = engine.buffer(100)
        assert len(first) == 100
        room = first.obj
        engine.give_back(first)
        second = engine.buffer(CHUNK)
        assert second.obj is room
        large = engine.buffer(CHUNK + 1)
        assert len(large) == CHUNK + 1
        engine.give_back(large)
        assert engine.buffer(1).obj is not large.obj

    asyncio.run(scenario())
