"""What the page cache serves is done in place; what may wait is left to a thread."""

import os
import select
import sys
from collections.abc import Callable, Iterator
from itertools import chain, count, repeat
from pathlib import Path

import pytest

from qmpserver.drivers.file import in_place
from qmpserver.drivers.file.in_place import InPlace, count_sleeps
from qmpserver.drivers.file.runs import find_runs
from qmpserver.drivers.file.space import file_system_magic
from qmpserver.drivers.file.stalls import FAIR_NS, MOST_NS
from qmpserver.units import KiB

PAGE = 4 * KiB


@pytest.fixture
def fd(image: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A file whose pages are all cached, on a file system that is trusted wherever the tests run."""
    fd = os.open(image, os.O_RDWR)
    os.pread(fd, 64 * KiB, 0)
    monkeypatch.setattr(in_place, "_LOCAL", frozenset((file_system_magic(fd),)))
    yield fd
    os.close(fd)


def trusting(
    fd: int, now_ns: Callable[[], int] = lambda: 0, sleeps: Callable[[], int] | None = None
) -> InPlace:
    return InPlace(direct=False, trusts_writes=True, now_ns=now_ns, sleeps=sleeps or count().__next__)


def test_whole_pages_are_written_in_place(fd: int) -> None:
    buffers = (memoryview(b"a" * PAGE), memoryview(b"b" * PAGE))
    assert trusting(fd).write(fd, PAGE, buffers, 2 * PAGE) == 2 * PAGE
    assert os.pread(fd, 2 * PAGE, PAGE) == b"a" * PAGE + b"b" * PAGE


def test_where_nothing_vouches_for_the_file_system_nothing_is_written_unasked(
    fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_place, "_LOCAL", frozenset())
    before = os.pread(fd, PAGE, 0)
    done = trusting(fd).write(fd, 0, (memoryview(bytes(PAGE)),), PAGE)
    # Some file systems say themselves that they need not wait.
    assert done in (0, PAGE)
    assert os.pread(fd, PAGE, 0) == (bytes(PAGE) if done else before)


def test_direct_files_and_those_that_keep_to_threads_are_left_alone(
    fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, into = (memoryview(bytes(PAGE)),), memoryview(bytearray(PAGE))
    direct = InPlace(direct=True, trusts_writes=True)
    assert (direct.write(fd, 0, data, PAGE), direct.read(fd, 0, into)) == (0, 0)
    monkeypatch.setattr(in_place, "_NO_NOWAIT", frozenset())
    untrusting = InPlace(direct=False, trusts_writes=False)
    untrusting._asks_writes = False
    assert untrusting.write(fd, 0, data, PAGE) == 0


def test_after_a_slow_write_others_are_left_to_threads_for_a_while(fd: int) -> None:
    second = 10**9
    first_slow, second_slow = (0, 2 * MOST_NS), (2 * MOST_NS, 4 * MOST_NS)
    times = iter(chain((0, 0), first_slow, second_slow, (5 * MOST_NS,), repeat(second)))
    place = trusting(fd, lambda: next(times))
    place._asks_writes = False
    written = [place.write(fd, 0, (memoryview(bytes(PAGE)),), PAGE) for _ in range(5)]
    assert written == [PAGE, PAGE, PAGE, 0, PAGE]


def test_who_was_only_kept_from_the_processor_goes_on_writing(fd: int) -> None:
    place = trusting(fd, count(0, 2 * FAIR_NS).__next__, sleeps=lambda: 7)
    place._asks_writes = False
    data = (memoryview(bytes(PAGE)),)
    many = 3 * MOST_NS // FAIR_NS
    assert [place.write(fd, 0, data, PAGE) for _ in range(many)] == [PAGE] * many
    assert not place.is_held_back


def test_who_slept_as_long_is_held_back(fd: int) -> None:
    place = trusting(fd, count(0, 2 * FAIR_NS).__next__)
    place._asks_writes = False
    data = (memoryview(bytes(PAGE)),)
    written = [place.write(fd, 0, data, PAGE) for _ in range(3 * MOST_NS // FAIR_NS)]
    assert 0 in written
    assert place.is_held_back


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts for one thread")
def test_waiting_is_counted() -> None:
    before = count_sleeps()
    select.select((), (), (), 0.001)
    assert count_sleeps() > before


def test_a_page_that_would_have_to_be_read_first_is_not_written_in_part(
    fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = trusting(fd)
    place._asks_writes = False
    cached = {0}

    def preadv(_fd: int, _into: object, offset: int, _flags: int) -> int:
        if offset not in cached:
            raise BlockingIOError
        return 1

    monkeypatch.setattr(os, "preadv", preadv)
    data = (memoryview(b"x" * 100),)
    assert place.write(fd, 10, data, 100) == 100
    assert place.write(fd, PAGE + 10, data, 100) == 0
    assert place.write(fd, PAGE - 10, data, 100) == 0
    cached.add(PAGE)
    assert place.write(fd, PAGE - 10, data, 100) == 100


def test_an_error_is_the_writers_own(fd: int, image: Path) -> None:
    reader = os.open(image, os.O_RDONLY)
    with pytest.raises(OSError, match="Bad file descriptor"):
        trusting(fd).write(reader, 0, (memoryview(bytes(PAGE)),), PAGE)
    os.close(reader)


def test_runs_are_found_in_place_until_that_is_slow(fd: int) -> None:
    times = iter(chain((0, FAIR_NS, FAIR_NS, 2 * MOST_NS), repeat(3 * MOST_NS)))
    place = trusting(fd, lambda: next(times))
    found = [place.call(find_runs, fd, 0, 64 * KiB, 1) for _ in range(3)]
    assert found[0] == found[1] == find_runs(fd, 0, 64 * KiB, 1)
    assert found[2] is None
    assert InPlace(direct=False, trusts_writes=False).call(find_runs, fd, 0, 64 * KiB, 1) is None


def test_calls_that_take_long_are_left_to_threads_though_they_only_work_and_writes_are_not(fd: int) -> None:
    place = trusting(fd, count(0, MOST_NS + FAIR_NS).__next__, sleeps=lambda: 7)
    place._asks_writes = False
    assert place.call(os.fstat, fd) is not None
    assert place.call(os.fstat, fd) is None
    assert place.write(fd, 0, (memoryview(bytes(PAGE)),), PAGE) == PAGE
