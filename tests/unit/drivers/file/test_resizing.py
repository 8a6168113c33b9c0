"""Files get the length that is wanted, with as much room as is wanted, or stay as they were."""

import errno
import os
from pathlib import Path

import pytest

from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.drivers.file import resizing
from qmpserver.drivers.file.resizing import resize
from qmpserver.units import MiB

OFF, METADATA, FALLOC, FULL = Preallocation


@pytest.fixture
def fd(tmp_path: Path) -> int:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)
    return os.open(path, os.O_RDWR)


@pytest.mark.parametrize(("mode", "has_room"), [(OFF, False), (FALLOC, True), (FULL, True)])
def test_what_is_new_reads_as_zeroes(fd: int, mode: Preallocation, has_room: bool) -> None:
    resize(fd, 3 * MiB, mode)
    assert os.pread(fd, 4 * MiB, 0) == b"x" * 1000 + bytes(3 * MiB - 1000)
    assert (os.fstat(fd).st_blocks * 512 >= 2 * MiB) is has_room
    resize(fd, 3 * MiB, mode)
    resize(fd, 10, OFF)
    assert os.pread(fd, 100, 0) == b"x" * 10


@pytest.mark.parametrize(
    ("size", "mode", "number", "text"),
    [
        (2000, METADATA, errno.ENOTSUP, "Unsupported preallocation mode: metadata"),
        (10, FALLOC, errno.ENOTSUP, "Cannot use preallocation for shrinking files"),
        (10, FULL, errno.ENOTSUP, "Cannot use preallocation for shrinking files"),
        (-1, OFF, errno.EINVAL, "Could not resize file: Invalid argument"),
        ((1 << 63) - 1, OFF, errno.EFBIG, "Could not resize file: File too large"),
        ((1 << 63) - 1, FULL, errno.EFBIG, "Could not resize file: File too large"),
    ],
)
def test_refusals_are_in_qemus_words(fd: int, size: int, mode: Preallocation, number: int, text: str) -> None:
    with pytest.raises(OSError, match=r"\[Errno") as refused:
        resize(fd, size, mode)
    assert (refused.value.errno, refused.value.strerror) == (number, text)
    assert os.fstat(fd).st_size == 1000


def test_what_cannot_be_completed_is_taken_back(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr(resizing, "write_fully", full)
    with pytest.raises(OSError, match=r"\[Errno") as refused:
        resize(fd, 3 * MiB, FULL)
    assert refused.value.strerror == "Could not write zeros for preallocation: No space left on device"
    assert os.fstat(fd).st_size == 1000
