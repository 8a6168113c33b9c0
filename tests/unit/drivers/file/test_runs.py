import os
import random
from pathlib import Path

import pytest

from qmpserver.drivers.file.runs import END_OF_OFFSETS, MAX_RUNS, Run, RunCache, find_runs
from qmpserver.units import KiB, MiB


def sparse_file(path: Path, size: int, *data: int) -> int:
    """Make a file of `size` with 4 KiB of data at each of the offsets."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    os.ftruncate(descriptor, size)
    for offset in data:
        os.pwrite(descriptor, b"x" * 4096, offset)
    return descriptor


def test_runs_are_found_in_order(tmp_path: Path) -> None:
    descriptor = sparse_file(tmp_path / "image", MiB, 64 * KiB, 256 * KiB)
    assert find_runs(descriptor, 0, MiB) == [
        Run(0, 64 * KiB, is_data=False),
        Run(64 * KiB, 68 * KiB, is_data=True),
        Run(68 * KiB, 256 * KiB, is_data=False),
        Run(256 * KiB, 260 * KiB, is_data=True),
        Run(260 * KiB, END_OF_OFFSETS, is_data=False),
    ]
    assert find_runs(descriptor, 66 * KiB, 67 * KiB) == [Run(66 * KiB, 68 * KiB, is_data=True)]
    os.close(descriptor)


def test_past_the_end_is_a_hole(tmp_path: Path) -> None:
    descriptor = sparse_file(tmp_path / "image", 100)
    assert find_runs(descriptor, 4096, 8192) == [Run(4096, END_OF_OFFSETS, is_data=False)]
    os.close(descriptor)


def test_a_file_in_many_pieces_is_looked_at_in_parts(tmp_path: Path) -> None:
    descriptor = sparse_file(tmp_path / "image", 4 * MiB, *range(0, 4 * MiB, 8 * KiB))
    assert MAX_RUNS <= len(find_runs(descriptor, 0, 4 * MiB)) <= MAX_RUNS + 1
    assert find_runs(descriptor, 4 * KiB, 4 * MiB, 1)[0] == Run(4 * KiB, 8 * KiB, is_data=False)
    assert len(find_runs(descriptor, 4 * KiB, 4 * MiB, 1)) <= 2
    os.close(descriptor)


def test_what_cannot_be_told_is_data() -> None:
    reading, writing = os.pipe()
    assert find_runs(reading, 0, 4096) == [Run(0, END_OF_OFFSETS, is_data=True)]
    os.close(reading)
    os.close(writing)


def test_a_remembered_run_is_found_by_any_offset_in_it() -> None:
    cache = RunCache()
    first, second = Run(10, 20, is_data=True), Run(20, 30, is_data=False)
    cache.store([first, second], cache.generation)
    assert [cache.find(offset) for offset in (9, 10, 19, 20, 29, 30)] == [
        None,
        first,
        first,
        second,
        second,
        None,
    ]


def test_what_was_found_while_the_file_changed_is_not_remembered() -> None:
    cache = RunCache()
    generation = cache.generation
    cache.changed()
    cache.store([Run(0, 10, is_data=True)], generation)
    assert cache.find(0) is None


def test_a_change_makes_everything_forgotten() -> None:
    cache = RunCache()
    cache.store([Run(0, 10, is_data=True)], cache.generation)
    cache.changed()
    assert cache.find(0) is None


@pytest.mark.parametrize("seed", range(40))
def test_what_is_remembered_is_true_wherever_one_has_looked(seed: int) -> None:
    chance = random.Random(seed)
    kinds: list[bool] = []
    while len(kinds) < 150:
        kinds += [chance.random() < 0.5] * chance.randint(1, 9)
    cache = RunCache()

    def look(start: int) -> list[Run]:
        runs: list[Run] = []
        for _ in range(chance.randint(1, 4)):
            if start < len(kinds):
                end = next((at for at in range(start, len(kinds)) if kinds[at] != kinds[start]), len(kinds))
                runs.append(Run(start, end, kinds[start]))
                start = end
        return runs

    for _ in range(120):
        offset = chance.randrange(len(kinds))
        known = cache.find(offset)
        if known is None:
            cache.store(look(offset), cache.generation)
        else:
            assert known.start <= offset < known.end
            assert set(kinds[known.start : known.end]) == {known.is_data}
