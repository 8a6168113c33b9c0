"""Writes that arrive together are stored together, and each still has an outcome of its own."""

import asyncio
import errno
import itertools
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from qmpserver.block import gathering
from qmpserver.block.dirty_bitmap import DirtyBitmap
from qmpserver.block.gathering import Gathering
from qmpserver.drivers.file import io
from tests.images import judge, make_qcow2
from tests.unit.block.conftest import Engine
from tests.unit.block.memory_drivers import FILES, MemoryFile

IN_MEMORY = {
    "file": "tests.unit.block.memory_drivers:MemoryFile",
    "qcow2": "qmpserver.drivers.qcow2.driver:Qcow2Driver",
}
REAL = {
    "file": "qmpserver.drivers.file.driver:FileDriver",
    "qcow2": "qmpserver.drivers.qcow2.driver:Qcow2Driver",
}
MiB = 1 << 20


class Stored:
    """What was stored: offset and bytes of each run."""

    def __init__(self) -> None:
        self.runs: list[tuple[int, bytes]] = []
        self.gate: asyncio.Event | None = None
        self.error: OSError | None = None

    async def store(self, offset: int, buffers: list[memoryview]) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.runs.append((offset, b"".join(buffers)))


async def write_all(stored: Stored, writes: Sequence[tuple[int, bytes]]) -> list[bool]:
    together = Gathering()
    return await asyncio.gather(
        *(together.write(offset, memoryview(data), stored.store) for offset, data in writes)
    )


@pytest.mark.parametrize(
    ("writes", "runs", "outcomes"),
    [
        ([(0, b"a")], [], [False]),
        ([(0, b"ab"), (2, b"c"), (3, b"d")], [(0, b"abcd")], [True] * 3),
        ([(3, b"d"), (0, b"ab"), (2, b"c")], [(0, b"abcd")], [True] * 3),
        ([(0, b"a"), (2, b"b")], [], [False] * 2),
        ([(0, b"ab"), (1, b"c")], [], [False] * 2),
        ([(0, b"a"), (0, b"b"), (1, b"c")], [(0, b"bc")], [False, True, True]),
        ([(0, b"a"), (1, b"b"), (8, b"c"), (9, b"d")], [(0, b"ab"), (8, b"cd")], [True] * 4),
    ],
)
def test_neighbours_are_stored_at_once(
    writes: list[tuple[int, bytes]], runs: list[tuple[int, bytes]], outcomes: list[bool]
) -> None:
    stored = Stored()
    assert asyncio.run(write_all(stored, writes)) == outcomes
    assert stored.runs == runs


def test_no_more_is_joined_than_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MOST", 4)
    stored = Stored()
    writes = [(offset, b"ab") for offset in range(0, 10, 2)]
    assert asyncio.run(write_all(stored, writes)) == [True] * 4 + [False]
    assert stored.runs == [(0, b"abab"), (4, b"abab")]


def test_when_storing_fails_each_is_left_to_itself() -> None:
    stored = Stored()
    stored.error = OSError(errno.EIO, "no")
    assert asyncio.run(write_all(stored, [(0, b"a"), (1, b"b")])) == [False, False]


@pytest.mark.parametrize("cancelled_at_once", [True, False])
def test_others_go_on_when_the_one_that_stores_them_is_cancelled(cancelled_at_once: bool) -> None:
    async def scenario() -> None:
        stored, together = Stored(), Gathering()
        stored.gate = asyncio.Event()
        first, second = (
            asyncio.create_task(together.write(offset, memoryview(b"x"), stored.store)) for offset in (0, 1)
        )
        for _ in range(1 if cancelled_at_once else 4):
            await asyncio.sleep(0)
        first.cancel()
        assert not await second
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(scenario())


def test_a_cancelled_write_does_not_end_while_another_stores_it() -> None:
    async def scenario() -> None:
        stored, together = Stored(), Gathering()
        stored.gate = asyncio.Event()
        first, second = (
            asyncio.create_task(together.write(offset, memoryview(b"x"), stored.store)) for offset in (0, 1)
        )
        for _ in range(4):
            await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
        assert not second.done()
        stored.gate.set()
        assert await first
        with pytest.raises(asyncio.CancelledError):
            await second

    asyncio.run(scenario())


async def _open(path: Path, drivers: dict[str, str] = REAL) -> tuple[Engine, Any]:
    engine = Engine(drivers)
    file = {"driver": "file", "filename": str(path), "node-name": "file"}
    node = await engine.opener.open({"driver": "qcow2", "node-name": "image", "file": file})
    # So that it is closed once it is collected.
    node.is_monitor_owned = False
    return engine, node


async def _read(node: Any, length: int) -> bytes:
    buffer = bytearray(length)
    await node.pread(0, memoryview(buffer))
    return bytes(buffer)


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    """Return the name of an empty image in memory."""
    path = tmp_path / "image.qcow2"
    make_qcow2(path, "1M", cluster_size=4096)
    FILES.clear()
    FILES[str(path)] = bytearray(path.read_bytes())
    yield path
    FILES.clear()


def test_every_write_of_many_gets_the_error_that_is_its_own(
    in_memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, joined = {3, 7}, []
    original = MemoryFile.pwrite

    async def pwrite(self: MemoryFile, offset: int, data: memoryview, flags: int) -> None:
        await asyncio.sleep(0)
        if any(data[:1] == bytes([at]) or bytes([at]) * 4096 in bytes(data) for at in failing):
            joined.append(len(data) > 4096)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        await original(self, offset, data, flags)

    async def scenario() -> None:
        engine, node = await _open(in_memory, IN_MEMORY)
        monkeypatch.setattr(MemoryFile, "pwrite", pwrite)
        outcomes = await asyncio.gather(
            *(node.pwrite(4096 * at, memoryview(bytes([at]) * 4096)) for at in range(1, 12)),
            return_exceptions=True,
        )
        assert [at for at, outcome in enumerate(outcomes, 1) if isinstance(outcome, OSError)] == [3, 7]
        assert joined == [True, False, False]
        wanted = b"".join(bytes([0 if at in failing else at]) * 4096 for at in range(12))
        assert await _read(node, len(wanted)) == wanted
        await engine.graph.collect(node)

    asyncio.run(scenario())
    assert judge(FILES[str(in_memory)]) == ([], 0)


@pytest.mark.parametrize("seed", range(4))
def test_many_writes_at_once_leave_what_a_plain_model_has(tmp_path: Path, seed: int) -> None:
    """They lie side by side or apart, begin and end within clusters, and find clusters that are there already."""
    rng, size = random.Random(seed), 4 * MiB
    path, model = tmp_path / "image.qcow2", bytearray(size)
    make_qcow2(path, str(size), cluster_size=rng.choice((512, 4096, 65536)))

    async def scenario() -> None:
        engine, node = await _open(path)
        bitmap, written = DirtyBitmap(size, 512), DirtyBitmap(size, 512)
        node.dirty_bitmaps.append(bitmap)
        for _ in range(12):
            writes, start = [], rng.randrange(size // 2)
            for _ in range(24):
                length = rng.choice((512, 4096, 9000))
                start += rng.choice((0, 0, 0, rng.randrange(40_000)))
                data = rng.randbytes(length)
                model[start : start + length] = data
                written.set(start, length)
                writes.append(node.pwrite(start, memoryview(data)))
                start += length
            rng.shuffle(writes)
            await asyncio.gather(*writes)
        assert all(bitmap.is_dirty(at) == written.is_dirty(at) for at in range(0, size, 512))
        assert await _read(node, size) == model
        await engine.graph.collect(node)

    asyncio.run(scenario())
    assert judge(path.read_bytes()) == ([], 0)


def test_a_stream_of_small_writes_fills_clusters_by_few_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors: list[int] = []
    original = io.write_vector

    def write_vector(fd: int, offset: int, buffers: Sequence[memoryview]) -> None:
        vectors.append(len(buffers))
        original(fd, offset, buffers)

    monkeypatch.setattr(io, "write_vector", write_vector)
    path = tmp_path / "image.qcow2"
    make_qcow2(path, "2M")

    async def scenario() -> None:
        engine, node = await _open(path)
        await asyncio.gather(*(node.pwrite(at, memoryview(b"x" * 4096)) for at in range(0, MiB, 4096)))
        await engine.graph.collect(node)

    asyncio.run(scenario())
    # The first one, with zeroes behind it; those of its cluster wait for it, and the others are one.
    assert vectors == [2, 240]


@pytest.mark.parametrize("pauses", [(1,), (3,), (1, 4, 2), (2, 6)])
def test_who_comes_later_gets_later_room(
    in_memory: Path, monkeypatch: pytest.MonkeyPatch, pauses: tuple[int, ...]
) -> None:
    original, turns = MemoryFile.pwrite, itertools.cycle(pauses)

    async def pwrite(self: MemoryFile, offset: int, data: memoryview, flags: int) -> None:
        for _ in range(next(turns)):
            await asyncio.sleep(0)
        await original(self, offset, data, flags)

    async def scenario() -> None:
        engine, node = await _open(in_memory, IN_MEMORY)
        monkeypatch.setattr(MemoryFile, "pwrite", pwrite)
        coming = iter(range(0, 40 * 4096, 4096))

        async def work() -> None:
            for offset in coming:
                await node.pwrite(offset, memoryview(b"x" * 4096))

        await asyncio.gather(*(work() for _ in range(3)))
        places = [(await node.driver.map(offset, 4096)).offset for offset in range(0, 40 * 4096, 4096)]
        assert places == sorted(places)
        await engine.graph.collect(node)

    asyncio.run(scenario())
