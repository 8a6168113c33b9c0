import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmpserver.drivers.file.space import SpaceCalls, start_writeback
from qmpserver.units import KiB, MiB


@pytest.fixture(params=["disk", "memory"])
def descriptor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    """A file of 1 MiB, on a disk or in memory; the second cannot zero a range by itself."""
    if request.param == "memory":
        opened = os.memfd_create("image")
    else:
        opened = os.open(tmp_path / "image", os.O_RDWR | os.O_CREAT)
    os.pwrite(opened, b"x" * MiB, 0)
    yield opened
    os.close(opened)


@pytest.mark.parametrize("may_unmap", [False, True])
def test_zeroing_keeps_the_space_unless_told(descriptor: int, may_unmap: bool) -> None:
    space = SpaceCalls()
    before = os.fstat(descriptor).st_blocks
    for offset in (0, 128 * KiB):
        space.zero(descriptor, offset, 128 * KiB, may_unmap=may_unmap)
    status = os.fstat(descriptor)
    assert status.st_size == MiB
    assert (status.st_blocks <= before - 512) is may_unmap
    assert os.pread(descriptor, 256 * KiB + 1, 0) == bytes(256 * KiB) + b"x"


def test_a_hole_takes_no_space_and_keeps_the_size(descriptor: int) -> None:
    before = os.fstat(descriptor).st_blocks
    SpaceCalls().punch_hole(descriptor, 512 * KiB, 512 * KiB)
    status = os.fstat(descriptor)
    assert status.st_size == MiB
    assert status.st_blocks <= before - 1024


def test_extending_never_makes_a_file_shorter(descriptor: int) -> None:
    space = SpaceCalls()
    space.extend(descriptor, MiB // 2)
    assert os.fstat(descriptor).st_size == MiB
    space.extend(descriptor, MiB + 12345)
    assert os.fstat(descriptor).st_size == MiB + 12345
    assert os.pread(descriptor, 2 * MiB, MiB - 1) == b"x" + bytes(12345)


def test_a_file_without_holes_says_that_it_cannot() -> None:
    reading, writing = os.pipe()
    with pytest.raises(OSError, match=os.strerror(errno.ESPIPE)):
        SpaceCalls().punch_hole(writing, 0, 4096)
    os.close(reading)
    os.close(writing)


def test_starting_writeback_is_only_a_hint(descriptor: int) -> None:
    start_writeback(descriptor, 0, MiB)
    start_writeback(-1, 0, MiB)
