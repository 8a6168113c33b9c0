"""How a file system holds a range decides how it is made zero."""

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from itertools import starmap
from pathlib import Path

import pytest

from qmpserver.drivers.file import space
from qmpserver.drivers.file.extent_map import MOST, is_scattered_in_memory
from qmpserver.drivers.file.space import SpaceCalls
from qmpserver.units import MiB

DELAYED, LAST, UNWRITTEN = 0x4, 0x1, 0x800
PAGE = 4096


@pytest.fixture
def scattered(tmp_path: Path) -> Iterator[int]:
    """A file of a MiB with data and holes in turn, none of which has been brought to the disk."""
    fd = os.open(tmp_path / "image", os.O_RDWR | os.O_CREAT)
    os.truncate(fd, MiB)
    for offset in range(0, MiB, 2 * PAGE):
        os.pwrite(fd, b"x" * PAGE, offset)
    yield fd
    os.close(fd)


def tell(monkeypatch: pytest.MonkeyPatch, *flags: int) -> None:
    """Have the kernel tell of extents with these flags."""

    def answer(_fd: int, request: int, room: bytearray, mutate: bool) -> int:
        assert (request, mutate) == (0xC020660B, True)
        assert struct.unpack_from("=QQII", room) == (0, MiB, 0, 0)
        extents = [(place * 2 * PAGE, 0, PAGE, 0, 0, flag, 0, 0, 0) for place, flag in enumerate(flags)]
        struct.pack_into("=I", room, 20, len(flags))
        told = b"".join(starmap(struct.Struct("=QQQQQIIII").pack, extents))
        room[32 : 32 + len(told)] = told
        return 0

    monkeypatch.setattr(fcntl, "ioctl", answer)


@pytest.mark.parametrize(
    ("flags", "is_scattered"),
    [
        ((DELAYED, DELAYED | LAST), True),
        ((DELAYED, 0), False),
        ((UNWRITTEN, DELAYED), False),
        ((DELAYED | LAST,), False),
        ((), False),
        ((DELAYED,) * (MOST - 1), True),
        ((DELAYED,) * MOST, False),
    ],
)
def test_several_pieces_without_a_place_on_the_disk_are_scattered(
    flags: tuple[int, ...], is_scattered: bool, monkeypatch: pytest.MonkeyPatch, scattered: int
) -> None:
    tell(monkeypatch, *flags)
    assert is_scattered_in_memory(scattered, 0, MiB) is is_scattered


def test_what_has_been_brought_to_the_disk_is_not(scattered: int) -> None:
    os.fsync(scattered)
    try:
        assert not is_scattered_in_memory(scattered, 0, MiB)
    except OSError as error:
        assert error.errno in {errno.EOPNOTSUPP, errno.ENOTTY}  # noqa: PT017 - some file systems do not tell


PUNCH, ALLOCATE, ZERO = 0x3, 0x1, 0x11
"""What is asked of ``fallocate``, never to change the file's size."""


@pytest.mark.parametrize(
    ("told", "wanted"), [((DELAYED, DELAYED), [PUNCH, ALLOCATE]), ((0, 0), [ZERO]), ((DELAYED,), [ZERO])]
)
def test_scattered_data_is_dropped_and_its_range_given_space_in_one_go(
    told: tuple[int, ...], wanted: list[int], scattered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(space, "_allocate", lambda _fd, mode, *_: asked.append(mode))
    tell(monkeypatch, *told)
    SpaceCalls().zero(scattered, 0, MiB, may_unmap=False)
    assert asked == wanted


def test_it_reads_as_zeroes_then_and_has_its_space(scattered: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(monkeypatch, DELAYED, DELAYED)
    SpaceCalls().zero(scattered, 0, MiB, may_unmap=False)
    assert os.pread(scattered, 2 * MiB, 0) == bytes(MiB)
    assert os.fstat(scattered).st_blocks * 512 >= MiB


def test_who_does_not_tell_is_not_asked_again(scattered: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def refuse(fd: int, *_: object) -> int:
        asked.append(fd)
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(fcntl, "ioctl", refuse)
    calls = SpaceCalls()
    for _ in range(2):
        calls.zero(scattered, 0, MiB, may_unmap=False)
    assert asked == [scattered]
    assert os.pread(scattered, 2 * MiB, 0) == bytes(MiB)
