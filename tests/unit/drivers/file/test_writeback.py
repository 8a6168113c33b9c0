import asyncio
import os
import random
import threading
from pathlib import Path

import pytest

from qmpserver.driver_api.limits import Limits
from qmpserver.drivers.file import writeback
from qmpserver.drivers.file.handle import Handle, OpenMode
from qmpserver.drivers.file.writeback import CHUNK, Writeback, WritebackHint
from qmpserver.units import KiB, MiB


def test_a_stream_is_written_back_a_chunk_at_a_time() -> None:
    hint = WritebackHint()
    named = [found for number in range(32) if (found := hint.note(number * MiB, MiB)) is not None]
    assert named == [(start, CHUNK) for start in range(0, 32 * MiB, CHUNK)]


def test_writes_of_a_stream_may_arrive_out_of_order() -> None:
    hint = WritebackHint()
    order = (0, 2, 1, 3, 5, 4, 7, 6)
    named = [found for number in order if (found := hint.note(number * MiB, MiB)) is not None]
    assert named == [(0, 8 * MiB)]


def test_scattered_writes_are_left_to_the_kernel() -> None:
    hint = WritebackHint()
    places = random.Random(1)
    assert all(hint.note(places.randrange(1 << 40), 64 * KiB) is None for _ in range(2000))


class Disk:
    """Takes ranges when it is let."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path.touch()
        self.handle = Handle(os.open(path, os.O_RDWR), OpenMode(writable=True, direct=False), None, Limits())
        self.taken: list[tuple[int, int]] = []
        self.may_go_on = threading.Semaphore(0)
        monkeypatch.setattr(writeback, "start_writeback", self._take)

    def _take(self, _fd: int, offset: int, length: int) -> None:
        self.may_go_on.acquire()
        self.taken.append((offset, length))


def test_ranges_are_joined_while_the_disk_is_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        disk, work = Disk(tmp_path / "file", monkeypatch), Writeback()
        for start in (0, 5, 3, 9):
            work.begin(disk.handle, start * MiB, MiB)
        disk.may_go_on.release()
        disk.may_go_on.release()
        while len(disk.taken) < 2:
            await asyncio.sleep(0)
        await work.settle()
        assert disk.taken == [(0, MiB), (3 * MiB, 7 * MiB)]
        disk.handle.close()
        assert disk.handle.fd < 0

    asyncio.run(scenario())


def test_nothing_more_is_begun_with_once_it_is_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        disk, work = Disk(tmp_path / "file", monkeypatch), Writeback()
        work.begin(disk.handle, 0, MiB)
        work.begin(disk.handle, 5 * MiB, MiB)
        disk.may_go_on.release()
        await work.settle()
        disk.handle.close()
        assert disk.taken == [(0, MiB)]
        assert disk.handle.fd < 0

    asyncio.run(scenario())
