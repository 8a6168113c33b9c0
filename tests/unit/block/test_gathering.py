"""Writes that arrive together are stored together, and each still has an outcome of its own."""

import asyncio
import errno
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from qmpserver.block import gathering
from qmpserver.block.dirty_bitmap import DirtyBitmap
from qmpserver.block.gathering import Gathering
from tests.images import judge, make_qcow2
from tests.unit.block.conftest import Engine
from tests.unit.block.memory_drivers import FILES, MemoryFile

REAL = {
    "file": "qmpserver.drivers.file.driver:FileDriver",
    "qcow2": "qmpserver.drivers.qcow2.driver:Qcow2Driver",
}
MiB = 1 << 20

MakeEngine = Callable[[], Any]


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
    # Everything it lent was written, though nobody waited to hear of it.


class Counting(MemoryFile):
    """A file that counts the writes it gets, and fails those that touch one byte."""

    writes = 0
    bad: int | None = None

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        type(self).writes += 1
        if self.bad is not None and offset <= self.bad < offset + len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        await asyncio.sleep(0)
        await super().pwrite(offset, data, flags)


def test_every_write_of_many_gets_the_error_that_is_its_own(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        engine = make_engine()
        node = await engine.add("n", "f")
        bitmap = DirtyBitmap(node.size, 4096)
        node.dirty_bitmaps.append(bitmap)
        file = node.children["file"].node.driver
        original, failing = file.pwrite, {3, 7}

        async def pwrite(offset: int, data: memoryview, flags: int) -> None:
            await asyncio.sleep(0)
            if any(bytes([number]) in bytes(data) for number in failing):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            await original(offset, data, flags)

        monkeypatch.setattr(file, "pwrite", pwrite)
        outcomes = await asyncio.gather(
            *(node.pwrite(4096 * at, memoryview(bytes([at]) * 4096)) for at in range(1, 12)),
            return_exceptions=True,
        )
        failed = [at for at, outcome in enumerate(outcomes, 1) if outcome is not None]
        assert failed == [3, 7]
        assert all(isinstance(outcomes[at - 1], OSError) for at in failed)
        buffer = bytearray(12 * 4096)
        await node.pread(0, memoryview(buffer))
        for at in range(1, 12):
            assert buffer[4096 * at] == (0 if at in failing else at)

    asyncio.run(scenario())
    FILES.clear()


async def _open(path: Path, engine: Engine) -> Any:
    file = {"driver": "file", "filename": str(path), "node-name": "file"}
    return await engine.opener.open({"driver": "qcow2", "node-name": "image", "file": file})


@pytest.mark.parametrize("seed", range(4))
def test_many_writes_at_once_leave_what_a_plain_model_has(tmp_path: Path, seed: int) -> None:
    """They lie side by side or apart, begin and end within clusters, and find clusters that are there already."""
    rng, size = random.Random(seed), 2 * MiB
    path, model = tmp_path / "image.qcow2", bytearray(size)
    make_qcow2(path, str(size), cluster_size=rng.choice((512, 4096, 65536)))

    async def scenario() -> None:
        engine = Engine(REAL)
        node = await _open(path, engine)
        bitmap = DirtyBitmap(size, 512)
        node.dirty_bitmaps.append(bitmap)
        for _ in range(12):
            writes, start = [], rng.randrange(size // 2)
            while len(writes) < 24:
                length = rng.choice((512, 4096, 9000))
                start += rng.choice((0, 0, 0, rng.randrange(40_000)))
                if start + length > size:
                    break
                data = rng.randbytes(length)
                model[start : start + length] = data
                writes.append(node.pwrite(start, memoryview(data)))
                start += length
            rng.shuffle(writes)
            await asyncio.gather(*writes)
        assert all(
            bitmap.is_dirty(at) == any(model[at : at + 512]) or bitmap.is_dirty(at)
            for at in range(0, size, 512)
        )
        buffer = bytearray(size)
        await node.pread(0, memoryview(buffer))
        assert buffer == model
        await engine.graph.collect(node)

    asyncio.run(scenario())
    judge(path)


def test_a_stream_of_small_writes_fills_clusters_by_few_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qmpserver.drivers.file.driver import FileDriver  # noqa: PLC0415

    lengths: list[int] = []
    original = FileDriver._change  # noqa: SLF001

    async def change(self: Any, call: Any, *args: Any, **named: Any) -> None:
        if len(args) == 2 and args[0] >= 65536:
            lengths.append(args[0])
        await original(self, call, *args, **named)

    monkeypatch.setattr(FileDriver, "_change", change)
    path = tmp_path / "image.qcow2"
    make_qcow2(path, "2M")

    async def scenario() -> None:
        engine = Engine(REAL)
        node = await _open(path, engine)
        await asyncio.gather(*(node.pwrite(at, memoryview(b"x" * 4096)) for at in range(0, MiB, 4096)))
        await engine.graph.collect(node)

    asyncio.run(scenario())
    assert len(lengths) < 40
