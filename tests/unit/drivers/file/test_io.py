import os
from pathlib import Path

import pytest

from qmpserver.drivers.file import io
from qmpserver.units import MiB


@pytest.fixture
def descriptor(tmp_path: Path) -> int:
    return os.open(tmp_path / "image", os.O_RDWR | os.O_CREAT)


def test_a_short_read_is_continued_and_the_end_reads_as_zeroes(descriptor: int) -> None:
    os.pwrite(descriptor, b"abcdef", 0)
    into = bytearray(b"\xaa" * 10)
    io.read_fully(descriptor, 2, memoryview(into))
    assert into == b"cdef".ljust(10, b"\0")
    os.close(descriptor)


def test_direct_transfers_take_memory_as_it_comes(tmp_path: Path, descriptor: int) -> None:
    direct = os.open(tmp_path / "image", os.O_RDWR | os.O_DIRECT)
    data = os.urandom(2 * MiB + 8192)
    odd = memoryview(b"x" + data)[1:]
    io.write_direct(direct, 4096, odd)
    assert os.pread(descriptor, len(data) + 10, 4096) == data
    into = memoryview(bytearray(len(data) + 1))[1:]
    io.read_direct(direct, 4096, into)
    assert into == data
    os.close(direct)
    os.close(descriptor)


def test_a_hole_does_not_tell_the_alignment(tmp_path: Path, descriptor: int) -> None:
    os.ftruncate(descriptor, MiB)
    direct = os.open(tmp_path / "image", os.O_RDWR | os.O_DIRECT)
    assert io.direct_alignment(direct) == io.SAFE_ALIGNMENT
    os.close(direct)
    os.close(descriptor)


def test_writing_to_a_full_disk_says_so() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(OSError, match="No space left on device"):
        io.write_fully(descriptor, 0, memoryview(b"x"))
    os.close(descriptor)


@pytest.mark.parametrize("lengths", [[1], [3, 4, 5], [1] * (io.MOST_BUFFERS * 2 + 1)])
def test_buffers_are_stored_one_behind_the_other(descriptor: int, lengths: list[int]) -> None:
    buffers = [memoryview(os.urandom(length)) for length in lengths]
    io.write_vector(descriptor, 7, buffers)
    assert os.pread(descriptor, sum(lengths) + 1, 7) == b"".join(buffers)
    os.close(descriptor)


def test_a_short_write_of_buffers_is_continued(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pwritev", lambda fd, buffers, offset: os.pwrite(fd, buffers[0][:2], offset))
    io.write_vector(descriptor, 0, [memoryview(b"abc"), memoryview(b"de")])
    assert os.pread(descriptor, 9, 0) == b"abcde"
    os.close(descriptor)
