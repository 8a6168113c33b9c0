"""The kernel is asked what the page cache has of a file."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmpserver.drivers.file import residency
from qmpserver.drivers.file.residency import Residency
from qmpserver.units import KiB, MiB


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(512 * KiB))
    fd = os.open(path, os.O_RDWR)
    yield fd
    os.close(fd)


def test_a_range_is_there_if_all_its_pages_are(fd: int) -> None:
    looked_at = Residency(fd)
    assert looked_at.has(1000, 500 * KiB)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    if looked_at.has(0, 4 * KiB):
        pytest.skip("this file system lives in the page cache")
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)  # nothing is read ahead
    os.pread(fd, 64 * KiB, 128 * KiB)
    assert looked_at.has(130 * KiB, 60 * KiB)
    assert not looked_at.has(100 * KiB, 60 * KiB)
    assert not looked_at.has(130 * KiB, 100 * KiB)
    looked_at.close()


def test_what_lies_past_the_end_is_not_there_until_it_is_written(fd: int) -> None:
    looked_at = Residency(fd)
    assert not looked_at.has(500 * KiB, 64 * KiB)
    os.pwrite(fd, bytes(64 * KiB), 500 * KiB)
    assert looked_at.has(500 * KiB, 64 * KiB)
    looked_at.close()


def test_a_file_that_grows_beyond_what_is_mapped_is_mapped_anew(
    fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(residency, "_STEP", 64 * KiB)
    looked_at = Residency(fd)
    assert looked_at.has(0, 4 * KiB)
    assert looked_at.has(300 * KiB, 100 * KiB)
    os.pwrite(fd, b"x" * 8 * KiB, 8 * MiB)
    assert looked_at.has(8 * MiB, 8 * KiB)
    looked_at.close()


def test_more_than_some_mib_is_not_looked_at(fd: int) -> None:
    os.pwrite(fd, bytes(8 * MiB), 0)
    looked_at = Residency(fd)
    assert not looked_at.has(0, 8 * MiB)
    looked_at.close()


def test_who_would_be_told_lies_asks_nothing(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residency, "_may_ask", lambda _fd: False)
    assert not Residency(fd).has(0, 4 * KiB)


def test_a_hole_is_there_when_it_has_been_asked_for(fd: int) -> None:
    os.truncate(fd, 4 * MiB)
    looked_at = Residency(fd)
    assert residency.is_asked_for(fd, MiB, 64 * KiB)
    assert looked_at.has(MiB, 64 * KiB)
    assert os.pread(fd, 64 * KiB, MiB) == bytes(64 * KiB)
    looked_at.close()
