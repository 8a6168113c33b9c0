import asyncio
import errno
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmpserver.driver_api import flags
from qmpserver.driver_api.permissions import PERM_ALL, Permission, PermissionSet
from qmpserver.driver_api.status import BlockStatus
from qmpserver.drivers.file import residency
from qmpserver.drivers.file.driver import FileDriver
from qmpserver.drivers.file.handle import Handle
from qmpserver.drivers.file.in_place import MOST_READ, InPlace
from qmpserver.units import KiB, MiB
from tests.unit.drivers.file.context import FileContext, OpenFile

ALONE = PermissionSet(Permission.WRITE, Permission.CONSISTENT_READ)


async def read(driver: FileDriver, offset: int, length: int) -> bytes:
    into = bytearray(b"\xaa" * length)
    await driver.pread(offset, memoryview(into), 0)
    return bytes(into)


def test_a_cached_read_never_suspends(image: Path, open_file: OpenFile) -> None:
    async def main() -> None:
        driver = await open_file(image)
        await read(driver, 0, 64 * KiB)
        into = bytearray(4096)
        coroutine = driver.pread(4096, memoryview(into), 0)
        with pytest.raises(StopIteration):
            coroutine.send(None)
        assert into == bytes(range(256)) * 16
        await driver.close()

    asyncio.run(main())


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("length", [4096, MOST_READ, 3 * MiB])
def test_what_was_written_is_read_back(
    tmp_path: Path, open_file: OpenFile, length: int, direct: bool
) -> None:
    data = os.urandom(length)
    (tmp_path / "image").touch()

    async def main() -> None:
        driver = await open_file(tmp_path / "image", direct=direct)
        await driver.pwrite(8192, memoryview(data), 0)
        assert driver.size == 8192 + length
        assert await read(driver, 0, 8192) == bytes(8192)
        assert await read(driver, 8192, length) == data
        await driver.flush()
        await driver.close()

    asyncio.run(main())
    assert (tmp_path / "image").read_bytes() == bytes(8192) + data


@pytest.mark.parametrize("direct", [False, True])
def test_reading_past_the_end_gives_zeroes(tmp_path: Path, open_file: OpenFile, direct: bool) -> None:
    (tmp_path / "image").write_bytes(b"abc")

    async def main() -> None:
        driver = await open_file(tmp_path / "image", direct=direct)
        assert driver.size == 3
        assert await read(driver, 0, 512) == b"abc".ljust(512, b"\0")
        assert await read(driver, 4096, 512) == bytes(512)
        await driver.close()

    asyncio.run(main())


def test_direct_access_asks_for_aligned_requests(image: Path, open_file: OpenFile) -> None:
    async def main() -> None:
        driver = await open_file(image, direct=True)
        assert driver.limits.request_alignment in (512, 1024, 2048, 4096)
        await driver.close()
        driver = await open_file(image)
        assert driver.limits.request_alignment == 1
        await driver.close()

    asyncio.run(main())


@pytest.mark.parametrize("may_unmap", [0, flags.MAY_UNMAP])
def test_zeroes_reach_past_the_end_and_spare_what_is_around(
    image: Path, open_file: OpenFile, may_unmap: int
) -> None:
    before = image.read_bytes()

    async def main() -> None:
        driver = await open_file(image)
        await driver.pwrite_zeroes(5000, 10000, may_unmap)
        await driver.pwrite_zeroes(len(before) - 10, 1 * MiB, may_unmap)
        assert driver.size == len(before) - 10 + MiB
        await driver.close()

    asyncio.run(main())
    expected = bytearray(before)
    expected[5000:15000] = bytes(10000)
    expected[-10:] = bytes(MiB)
    assert image.read_bytes() == expected


@pytest.fixture
def in_threads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Trust the file system wherever the tests run, however slow it is; return the names of the calls made in threads."""
    monkeypatch.setattr(InPlace, "trusts", lambda _self, _fd: True)
    place = InPlace(direct=False, trusts_writes=True, now_ns=lambda: 0)
    monkeypatch.setattr(FileDriver, "_find_in_place", lambda _self: place)
    calls: list[str] = []
    run = FileDriver._run

    async def noted(self: FileDriver, call: Any, *args: Any, **how: Any) -> Any:
        calls.append(call.__name__)
        return await run(self, call, *args, **how)

    monkeypatch.setattr(FileDriver, "_run", noted)
    return calls


def test_what_is_soon_emptied_is_emptied_in_place(
    tmp_path: Path, open_file: OpenFile, in_threads: list[str]
) -> None:
    path = tmp_path / "image"
    path.write_bytes(b"x" * 4 * MiB)
    os.truncate(path, 64 * MiB)

    async def main() -> None:
        driver = await open_file(path)
        in_threads.clear()
        await driver.pwrite_zeroes(0, MiB, 0)
        await driver.pwrite_zeroes(MiB, 4096, flags.MAY_UNMAP)
        await driver.pdiscard(2 * MiB, 4096)
        # A hole is made in no time where there is one.
        await driver.pwrite_zeroes(4 * MiB, 60 * MiB, flags.MAY_UNMAP)
        await driver.pdiscard(4 * MiB, 60 * MiB)
        assert not in_threads
        await driver.pwrite_zeroes(4 * MiB, 60 * MiB, 0)
        await driver.pdiscard(2 * MiB, 2 * MiB)
        assert in_threads == ["_zero", "discard"]
        await driver.close()

    asyncio.run(main())
    kept = b"x" * (MiB - 4096)
    assert path.read_bytes() == bytes(MiB + 4096) + kept + bytes(62 * MiB)


def test_beside_another_change_nothing_is_emptied_in_place(
    image: Path, open_file: OpenFile, in_threads: list[str]
) -> None:
    async def main() -> None:
        driver = await open_file(image)
        driver._changes = 1
        in_threads.clear()
        await driver.pdiscard(0, 4096)
        assert in_threads == ["discard"]
        await driver.close()

    asyncio.run(main())


def test_what_cannot_be_emptied_in_place_is_an_error(
    image: Path, open_file: OpenFile, in_threads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = image.read_bytes()

    async def main() -> None:
        driver = await open_file(image)
        monkeypatch.setattr(driver._space, "discard", refuse)
        in_threads.clear()
        with pytest.raises(OSError, match="No space left on device"):
            await driver.pdiscard(0, 4096)
        assert not in_threads
        assert driver.size == len(before)
        await driver.close()

    def refuse(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    asyncio.run(main())
    assert image.read_bytes() == before


def test_what_was_never_written_is_found_in_memory_as_well(
    tmp_path: Path, open_file: OpenFile, in_threads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "image"
    path.touch()
    os.truncate(path, 4 * MiB)
    asked: list[tuple[int, int]] = []

    def ask(_fd: int, offset: int, length: int) -> bool:
        asked.append((offset, length))
        return True

    monkeypatch.setattr(residency, "is_asked_for", ask)

    async def main() -> None:
        driver = await open_file(path)
        in_threads.clear()
        # Nothing is said of a file where that cannot be told.
        there = iter((False, True, False, False))
        monkeypatch.setattr(Handle, "is_in_memory", lambda *_: next(there))
        (found,) = driver.find_in_memory(MiB, 256 * KiB)
        assert len(found) == 256 * KiB
        found.release()
        assert not driver.find_in_memory(2 * MiB, 64 * KiB)
        assert asked == [(MiB, 256 * KiB), (2 * MiB, 64 * KiB)]
        assert not in_threads
        await driver.close()

    asyncio.run(main())


def test_statuses_are_told_run_after_run_whoever_else_writes(tmp_path: Path, open_file: OpenFile) -> None:
    path = tmp_path / "image"
    path.touch()
    os.truncate(path, MiB)

    async def main() -> None:
        driver = await open_file(path)
        for place in (64 * KiB, 192 * KiB):
            await driver.pwrite(place, memoryview(b"x" * 64 * KiB), 0)
        told = await driver.block_statuses(32 * KiB, 200 * KiB)
        lengths = [(status.length, status.is_data) for status in told]
        assert lengths == [(32 * KiB, False), (64 * KiB, True), (64 * KiB, False), (40 * KiB, True)]
        assert [status.host_offset for status in told] == [32 * KiB, 64 * KiB, 128 * KiB, 192 * KiB]
        assert told == [await driver.block_status(status.host_offset or 0, status.length) for status in told]
        await driver.close()

    asyncio.run(main())


def test_discarded_space_is_given_back(tmp_path: Path, open_file: OpenFile) -> None:
    (tmp_path / "image").write_bytes(b"x" * MiB)

    async def main() -> None:
        driver = await open_file(tmp_path / "image")
        before = await driver.allocated_size()
        await driver.pdiscard(0, 512 * KiB)
        after = await driver.allocated_size()
        assert before is not None
        assert after is not None
        assert after <= before - 512 * KiB
        assert await read(driver, 0, 4096) == bytes(4096)
        assert driver.size == MiB
        stats = {"discard-nb-ok": 1, "discard-nb-failed": 0, "discard-bytes-ok": 512 * KiB}
        assert driver.driver_stats() == {"driver": "file", **stats}
        await driver.close()

    asyncio.run(main())


def test_status_tells_holes_from_data(tmp_path: Path, open_file: OpenFile) -> None:
    path = tmp_path / "image"
    path.touch()
    os.truncate(path, MiB)

    async def main() -> None:
        driver = await open_file(path)
        await driver.prepare_permissions(ALONE)
        driver.commit_permissions()
        await driver.pwrite(64 * KiB, memoryview(b"x" * 64 * KiB), 0)
        hole = BlockStatus(64 * KiB, is_data=False, is_zero=True, is_allocated=True, host_offset=0)
        data = BlockStatus(32 * KiB, is_data=True, is_zero=False, is_allocated=True, host_offset=96 * KiB)
        for _ in range(2):
            assert await driver.block_status(0, MiB) == hole
            assert await driver.block_status(96 * KiB, 512 * KiB) == data
            assert (await driver.block_status(96 * KiB, 100)).length == 100
            assert (await driver.block_status(128 * KiB, MiB - 128 * KiB)).is_zero
        await driver.pwrite(0, memoryview(b"y"), 0)
        assert (await driver.block_status(0, 4096)).is_data
        await driver.close()

    asyncio.run(main())


def test_truncating_makes_the_file_longer_and_shorter(image: Path, open_file: OpenFile) -> None:
    async def main() -> None:
        driver = await open_file(image)
        await driver.truncate(100)
        await driver.truncate(1000)
        assert driver.size == 1000
        assert await read(driver, 90, 20) == bytes(range(90, 100)) + bytes(10)
        await driver.close()

    asyncio.run(main())
    assert image.stat().st_size == 1000


def test_writing_where_the_file_is_read_only_is_an_error_and_changes_nothing(
    image: Path, open_file: OpenFile
) -> None:
    async def main() -> None:
        driver = await open_file(image, read_only=True)
        with pytest.raises(OSError, match="Bad file descriptor"):
            await driver.pwrite(1 << 20, memoryview(b"x"), 0)
        assert driver.size == 64 * KiB
        await driver.close()

    asyncio.run(main())


def test_a_failed_flush_is_not_forgotten(image: Path, open_file: OpenFile) -> None:
    reading, writing = os.pipe()  # of which no flush succeeds

    async def main() -> None:
        driver = await open_file(image)
        handle = driver._access.handle
        good, handle.fd = handle.fd, writing
        with pytest.raises(OSError, match="Invalid argument"):
            await driver.flush()
        handle.fd = good
        with pytest.raises(OSError, match="Invalid argument"):
            await driver.flush()
        await driver.close()

    asyncio.run(main())
    os.close(reading)
    os.close(writing)


def test_no_flush_makes_flushing_free(image: Path, open_file: OpenFile) -> None:
    async def main() -> None:
        driver = await open_file(image, no_flush=True)
        with pytest.raises(StopIteration):
            driver.flush().send(None)
        await driver.close()

    asyncio.run(main())


def test_a_long_stream_of_writes_arrives_whole(tmp_path: Path, open_file: OpenFile) -> None:
    path = tmp_path / "image"
    path.touch()
    data = os.urandom(MiB)

    async def main() -> None:
        driver = await open_file(path)
        waiting = iter(range(24))

        async def worker() -> None:
            for number in waiting:
                await driver.pwrite(number * MiB, memoryview(data), 0)

        await asyncio.gather(worker(), worker(), worker())
        await driver.flush()
        await driver.close()

    asyncio.run(main())
    assert path.read_bytes() == data * 24


def test_it_describes_itself_as_qemu_does(image: Path, open_file: OpenFile) -> None:
    async def main() -> None:
        driver = await open_file(image)
        assert driver.exact_filename == str(image)
        assert driver.image_info() == {"dirty-flag": False, "format-specific": {"type": "file", "data": {}}}
        assert driver.can_grow
        assert driver.reads_zero_when_new
        await driver.close()

    asyncio.run(main())


def test_reopening_lends_and_withdraws_the_right_to_write(image: Path, open_file: OpenFile) -> None:
    async def main() -> None:
        driver = await open_file(image, read_only=True)
        await driver.prepare_reopen(read_only=False, options={})
        await driver.commit_reopen()
        await driver.pwrite(0, memoryview(b"new"), 0)
        await driver.prepare_reopen(read_only=True, options={})
        await driver.commit_reopen()
        with pytest.raises(OSError, match="Bad file descriptor"):
            await driver.pwrite(0, memoryview(b"x"), 0)
        assert await read(driver, 0, 4) == b"new\x03"
        await driver.close()

    asyncio.run(main())


def test_reopening_changes_the_cache_mode(image: Path, open_file: OpenFile) -> None:
    async def main() -> None:
        driver = await open_file(image)
        options = {"filename": str(image), "cache": {"direct": True}}
        await driver.prepare_reopen(read_only=False, options=options)
        assert driver.limits.request_alignment == 1
        await driver.commit_reopen()
        assert driver.limits.request_alignment > 1
        assert await read(driver, 0, 4096) == bytes(range(256)) * 16
        await driver.close()

    asyncio.run(main())


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["write", "zero", "unmap", "discard", "truncate", "status", "read"]),
        st.integers(0, 40000),
        st.integers(1, 20000),
        st.integers(1, 255),
    ),
    max_size=25,
)


async def _perform(driver: FileDriver, model: bytearray, operation: tuple[str, int, int, int]) -> None:
    kind, offset, length, value = operation
    end = offset + length
    if kind == "truncate":
        await driver.truncate(offset)
        del model[offset:]
        model.extend(bytes(offset - len(model)))
        return
    if kind in ("write", "zero", "unmap"):
        model.extend(bytes(max(end - len(model), 0)))
    if kind == "write":
        model[offset:end] = bytes([value]) * length
        await driver.pwrite(offset, memoryview(bytes([value]) * length), 0)
    elif kind in ("zero", "unmap"):
        model[offset:end] = bytes(length)
        await driver.pwrite_zeroes(offset, length, flags.MAY_UNMAP if kind == "unmap" else 0)
    elif kind == "discard":
        within = model[offset:end]
        model[offset:end] = bytes(len(within))
        await driver.pdiscard(offset, length)
    elif kind == "status":
        status = await driver.block_status(offset, length)
        assert 0 < status.length <= length
        assert not status.is_zero or not any(model[offset : offset + status.length])
    else:
        assert await read(driver, offset, length) == bytes(model[offset:end]).ljust(length, b"\0")


@pytest.mark.parametrize("in_memory", [False, True])
@settings(deadline=None, max_examples=60)
@given(operations=OPERATIONS)
def test_a_file_behaves_as_a_bytearray(in_memory: bool, operations: list[tuple[str, int, int, int]]) -> None:
    async def main(name: str) -> None:
        driver = await FileDriver.open(FileContext(name))
        await driver.prepare_permissions(PermissionSet(PERM_ALL, Permission.CONSISTENT_READ))
        driver.commit_permissions()
        model = bytearray()
        for operation in operations:
            await _perform(driver, model, operation)
            assert driver.size == len(model)
        await driver.close()
        assert await asyncio.to_thread(Path(name).read_bytes) == model

    if in_memory:
        descriptor = os.memfd_create("image")
        try:
            asyncio.run(main(f"/proc/self/fd/{descriptor}"))
        finally:
            os.close(descriptor)
    else:
        with tempfile.NamedTemporaryFile() as file:
            asyncio.run(main(file.name))


def test_the_kernel_copies_between_files_and_the_copy_is_the_file_s_own(
    tmp_path: Path, open_file: OpenFile
) -> None:
    data = os.urandom(3 * MiB)
    (tmp_path / "source").write_bytes(data)
    (tmp_path / "target").touch()

    async def main() -> None:
        source = await open_file(tmp_path / "source", read_only=True)
        target = await open_file(tmp_path / "target")
        assert await target.copy_ranges(source, [(MiB, 64 * KiB, 2 * MiB)], 64 * KiB)
        assert target.size == 64 * KiB + 2 * MiB
        assert await read(target, 64 * KiB, 2 * MiB) == data[MiB:]
        assert (await target.block_status(0, MiB)).is_zero
        await target.close()
        await source.close()

    asyncio.run(main())


@pytest.mark.parametrize("direct", ["source", "target"])
def test_what_bypasses_the_page_cache_is_not_copied_by_the_kernel(
    tmp_path: Path, open_file: OpenFile, direct: str
) -> None:
    for name in ("source", "target"):
        (tmp_path / name).write_bytes(b"x" * MiB)

    async def main() -> None:
        source = await open_file(tmp_path / "source", direct=direct == "source")
        target = await open_file(tmp_path / "target", direct=direct == "target")
        assert not await target.copy_ranges(source, [(0, 0, MiB)], 64 * KiB)
        await target.close()
        await source.close()

    asyncio.run(main())


@pytest.mark.parametrize("zero_piece", [0, 3, 7])
def test_a_piece_that_may_be_zeroes_is_left_to_the_caller(
    tmp_path: Path, open_file: OpenFile, zero_piece: int
) -> None:
    pieces = [bytes(64 * KiB) if index == zero_piece else os.urandom(64 * KiB) for index in range(8)]
    (tmp_path / "source").write_bytes(b"".join(pieces))
    (tmp_path / "target").touch()

    async def main() -> None:
        source = await open_file(tmp_path / "source", read_only=True)
        target = await open_file(tmp_path / "target")
        assert not await target.copy_ranges(source, [(0, 0, 512 * KiB)], 64 * KiB)
        assert target.size == 0
        await target.close()
        await source.close()

    asyncio.run(main())


def test_a_source_that_ends_too_early_is_left_to_the_caller(tmp_path: Path, open_file: OpenFile) -> None:
    (tmp_path / "source").write_bytes(b"x" * (96 * KiB + 20))
    (tmp_path / "target").touch()

    async def main() -> None:
        source = await open_file(tmp_path / "source", read_only=True)
        target = await open_file(tmp_path / "target")
        assert not await target.copy_ranges(source, [(0, 0, 128 * KiB)], 64 * KiB)
        await target.close()
        await source.close()

    asyncio.run(main())
