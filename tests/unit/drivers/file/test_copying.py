import asyncio
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qmpserver.driver_api.extras import CopiedRange
from qmpserver.drivers.file import copying, space
from qmpserver.drivers.file.space import file_system_magic
from qmpserver.units import KiB, MiB
from tests.unit.drivers.file.context import OpenFile

Copy = Callable[[int, int, list[CopiedRange], int], bool]
UNIT = 64 * KiB

each_way = pytest.mark.parametrize(
    "copy", [copying.copy_by_kernel, copying.copy_in_pieces, copying.copy_side_by_side]
)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "source", os.O_RDWR | os.O_CREAT)
    # No byte is zero, so that a piece of one byte is none of zeroes.
    os.pwrite(descriptor, os.urandom(MiB).replace(b"\0", b"\1"), 0)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def target(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


@pytest.fixture(autouse=True)
def short_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have two threads share what is no longer than the tests' files."""
    monkeypatch.setattr(copying, "SHORTEST_SHARED", copying.PIECE + 1)


@each_way
@pytest.mark.parametrize("length", [1, copying.PIECE, copying.PIECE + 1, 2 * copying.PIECE - 1000])
def test_what_is_copied_is_what_is_there(source: int, target: int, copy: Copy, length: int) -> None:
    os.pwrite(target, b"before", 0)
    assert copy(target, source, [(513, 4097, length)], UNIT)
    assert os.pread(target, length + 1, 4097) == os.pread(source, length, 513)
    assert os.pread(target, 4097, 0) == b"before".ljust(4097, b"\0")


@each_way
def test_old_bytes_are_replaced_and_those_around_stay(source: int, target: int, copy: Copy) -> None:
    os.pwrite(target, b"\xaa" * MiB, 0)
    assert copy(target, source, [(0, 4096, 512 * KiB)], UNIT)
    around = b"\xaa" * (MiB - 512 * KiB - 4096)
    assert os.pread(target, 2 * MiB, 0) == b"\xaa" * 4096 + os.pread(source, 512 * KiB, 0) + around


@each_way
def test_several_ranges_go_each_to_its_place(source: int, target: int, copy: Copy) -> None:
    ranges = [(600 * KiB, 0, 300 * KiB), (4096, 2 * MiB, 570 * KiB), (0, MiB, 1)]
    assert copy(target, source, ranges, UNIT)
    for start, offset, length in ranges:
        assert os.pread(target, length, offset) == os.pread(source, length, start)
    assert os.pread(target, MiB, 300 * KiB)[: 724 * KiB] == bytes(724 * KiB)


@each_way
def test_zeroes_in_one_of_several_ranges_are_left_to_the_caller(source: int, target: int, copy: Copy) -> None:
    os.pwrite(source, bytes(UNIT), 10 * UNIT)
    assert not copy(target, source, [(0, 0, 512 * KiB), (512 * KiB, MiB, 512 * KiB)], UNIT)


@each_way
def test_where_a_piece_may_be_zeroes_nothing_is_touched(source: int, target: int, copy: Copy) -> None:
    os.pwrite(source, bytes(UNIT), 5 * UNIT)
    assert not copy(target, source, [(0, 0, copying.PIECE)], UNIT)
    assert os.fstat(target).st_size == os.fstat(target).st_blocks == 0
    assert not copy(target, source, [(0, 0, MiB)], UNIT)


def test_only_whole_pieces_of_zeroes_are_left_out_where_all_is_looked_at(source: int, target: int) -> None:
    os.pwrite(source, bytes(UNIT - 1), 5 * UNIT)
    assert copying.copy_side_by_side(target, source, [(0, 0, MiB)], UNIT)
    assert os.pread(target, MiB, 0) == os.pread(source, MiB, 0)


@each_way
def test_a_source_that_is_cut_off_meanwhile_is_left_to_the_caller(
    source: int, target: int, copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_: object) -> bool:
        os.ftruncate(source, 300 * KiB)
        return False

    monkeypatch.setattr(copying, "_may_be_zeroes", cut_off)
    monkeypatch.setattr(copying, "_has_zeroes", cut_off)
    assert not copy(target, source, [(0, 0, 2 * MiB)], UNIT)


def test_a_target_that_is_full_says_so(source: int) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(OSError, match="No space left on device"):
        copying.copy_in_pieces(full, source, [(0, 0, MiB)], UNIT)
    os.close(full)


def test_room_that_cannot_be_had_beforehand_is_made_by_writing(
    source: int, target: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(space, "_allocate", refuse)
    assert copying.copy_in_pieces(target, source, [(0, 0, MiB)], UNIT)
    assert os.pread(target, 2 * MiB, 0) == os.pread(source, MiB, 0)


def test_it_is_the_file_system_that_decides(target: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "EXT_MAGIC", file_system_magic(target))
    assert copying.is_better_in_pieces(target)
    monkeypatch.setattr(copying, "EXT_MAGIC", -1)
    assert not copying.is_better_in_pieces(target)


@pytest.mark.parametrize("in_pieces", [False, True])
def test_copies_into_one_file_may_be_made_at_the_same_time(
    tmp_path: Path, open_file: OpenFile, monkeypatch: pytest.MonkeyPatch, *, in_pieces: bool
) -> None:
    data = os.urandom(8 * MiB)
    (tmp_path / "source").write_bytes(data)
    (tmp_path / "target").touch()
    monkeypatch.setattr(copying, "is_better_in_pieces", lambda _: in_pieces)

    async def main() -> None:
        source = await open_file(tmp_path / "source", read_only=True)
        target = await open_file(tmp_path / "target")
        parts = range(0, len(data), MiB)
        done = await asyncio.gather(
            *(target.copy_ranges(source, [(at, at, MiB)], UNIT) for at in reversed(parts))
        )
        assert all(done)
        assert target.size == len(data)
        await target.close()
        await source.close()

    asyncio.run(main())
    assert (tmp_path / "target").read_bytes() == data
