"""A device of the host is served as it is: it has the size it has, and does what its kernel lets it do."""

import asyncio
import errno
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from qmpserver.driver_api import flags
from qmpserver.driver_api.device_probing import device_driver
from qmpserver.driver_api.device_requests import SupportsIoctl
from qmpserver.driver_api.permissions import PERM_ALL, Permission, PermissionSet
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.drivers.file.driver import FileDriver
from qmpserver.drivers.host_device import cdrom
from qmpserver.drivers.host_device.cdrom import HostCdromDriver
from qmpserver.drivers.host_device.driver import HostDeviceDriver
from qmpserver.drivers.raw import RawDriver
from qmpserver.errors import QMPError
from qmpserver.units import KiB, MiB
from tests.contract.engine import Context, MemoryFile
from tests.loop_devices import loop_device
from tests.unit.drivers.file.context import FileContext
from tests.unit.drivers.host_device.fake_kernel import FakeKernel

BLKDISCARD = 0x1277
BLKZEROOUT = 0x127F
CDROM_DRIVE_STATUS = 0x5326
CONTENT = bytes(range(256)) * 4 * KiB


async def opened(path: object = "/dev/null", **given: Any) -> HostDeviceDriver:
    return await HostDeviceDriver.open(FileContext(str(path), **given))


async def read(driver: FileDriver, offset: int, length: int) -> bytes:
    into = bytearray(length)
    await driver.pread(offset, memoryview(into), 0)
    return bytes(into)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    return FakeKernel(monkeypatch)


def test_a_name_tells_a_device_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert device_driver("/dev/null") == "host_device"
    assert device_driver(str(tmp_path / "file")) is None
    assert device_driver(str(tmp_path / "nothing")) is None
    assert device_driver("a\0b") is None


def test_a_file_is_no_device_and_a_device_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    async def main() -> None:
        with pytest.raises(QMPError, match=r"'host_device' driver requires '.*' to be either a character or"):
            await opened(tmp_path / "file")
        with pytest.raises(QMPError, match="'file' driver requires '/dev/null' to be a regular file"):
            await FileDriver.open(FileContext("/dev/null"))
        with pytest.raises(QMPError, match="The 'host_device' block driver requires a file name"):
            await opened("")

    asyncio.run(main())


def test_a_device_keeps_its_size() -> None:
    async def main() -> None:
        driver = await opened()
        assert driver.size == 0
        await driver.truncate(0)
        with pytest.raises(OSError, match="Cannot grow device files"):
            await driver.truncate(512)
        with pytest.raises(OSError, match="Preallocation mode 'full' unsupported for this non-regular file"):
            await driver.truncate(0, Preallocation.FULL)
        assert not driver.reads_zero_when_new
        await driver.close()

    asyncio.run(main())


def test_zeroes_are_made_by_the_device_and_not_where_that_may_be_slow(kernel: FakeKernel) -> None:
    kernel.answers[BLKZEROOUT] = 0

    async def main() -> None:
        driver = await opened()
        await driver.pwrite_zeroes(4096, 8192, 0)
        assert kernel.seen == [(BLKZEROOUT, struct.pack("@QQ", 4096, 8192))]
        with pytest.raises(OSError, match=os.strerror(errno.ENOTSUP)):
            await driver.pwrite_zeroes(0, 4096, flags.NO_FALLBACK)
        assert len(kernel.seen) == 1
        await driver.close()

    asyncio.run(main())


@pytest.mark.parametrize("number", [errno.ENOTTY, errno.EOPNOTSUPP])
def test_a_call_that_a_device_lacks_is_not_tried_twice(kernel: FakeKernel, number: int) -> None:
    kernel.answers |= {BLKDISCARD: -number, BLKZEROOUT: -number}

    async def main() -> None:
        driver = await opened()
        for _ in range(2):
            for request in (driver.pdiscard(0, 4096), driver.pwrite_zeroes(0, 4096, 0)):
                with pytest.raises(OSError, match=os.strerror(errno.ENOTSUP)):
                    await request
        assert [request for request, _ in kernel.seen] == [BLKDISCARD, BLKZEROOUT]
        stats = driver.driver_stats()
        assert stats is not None
        assert (stats["driver"], stats["discard-nb-failed"]) == ("host_device", 2)
        await driver.close()

    asyncio.run(main())


def test_another_error_of_a_discard_is_told_and_it_is_tried_again(kernel: FakeKernel) -> None:
    kernel.answers[BLKDISCARD] = -errno.EIO

    async def main() -> None:
        driver = await opened()
        for _ in range(2):
            with pytest.raises(OSError, match=os.strerror(errno.EIO)):
                await driver.pdiscard(0, 4096)
        kernel.answers[BLKDISCARD] = 0
        await driver.pdiscard(0, 4096)
        assert driver.driver_stats() == {
            "driver": "host_device",
            "discard-nb-ok": 1,
            "discard-nb-failed": 2,
            "discard-bytes-ok": 4096,
        }
        await driver.close()

    asyncio.run(main())


class Device(MemoryFile):
    """A child that is a device of the host."""

    async def ioctl(self, request: int, argument: bytearray | int) -> int:
        assert isinstance(argument, bytearray)
        argument[0] = request
        return 7


def test_raw_hands_a_request_of_a_devices_own_on_unless_it_shows_a_window() -> None:
    async def main() -> None:
        argument = bytearray(1)
        whole = await RawDriver.open(Context({"file": Device(bytearray(MiB))}))
        assert isinstance(whole, SupportsIoctl)
        assert await whole.ioctl(5, argument) == 7
        assert argument == b"\x05"
        window = await RawDriver.open(Context({"file": Device(bytearray(MiB))}, options={"offset": 512}))
        plain = await RawDriver.open(Context({"file": MemoryFile(bytearray(MiB))}))
        for driver in (window, plain):
            with pytest.raises(OSError, match=os.strerror(errno.ENOTSUP)):
                await driver.ioctl(5, argument)

    asyncio.run(main())


def test_a_cdrom_drive_of_the_host_reads_only_with_a_disc_and_moves_its_tray(kernel: FakeKernel) -> None:
    kernel.answers[CDROM_DRIVE_STATUS] = 1  # no disc

    async def main() -> None:
        driver = await HostCdromDriver.open(FileContext("/dev/null", read_only=True))
        assert not driver.find_medium()
        data = memoryview(bytearray(512))
        for request in (
            driver.pread(0, data, 0),
            driver.pwrite(0, data, 0),
            driver.pwritev(0, [data[:256], data[256:]], 0),
        ):
            with pytest.raises(OSError, match=os.strerror(errno.ENOMEDIUM)):
                await request
        kernel.answers[CDROM_DRIVE_STATUS] = 4
        assert driver.find_medium()
        assert await read(driver, 0, 512) == bytes(512)
        kernel.seen.clear()
        driver.move_tray(is_open=True)
        driver.move_tray(is_open=False)
        driver.lock_medium(is_locked=True)
        assert kernel.seen == [(0x5309, 0), (0x5319, 0), (0x5329, 1)]
        assert driver.image_info() == {}
        assert driver.driver_stats() is None
        await driver.close()

    asyncio.run(main())


class CachedDisc(HostCdromDriver):
    """A drive whose disc the page cache holds, and takes writes for."""

    def _write_in_place(self, fd: int, offset: int, buffers: Sequence[memoryview], length: int) -> int:
        return length


def test_what_the_page_cache_has_of_a_disc_is_not_given_once_the_disc_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = 4
    monkeypatch.setattr(cdrom, "cdrom_status", lambda _fd: status)

    async def main(name: str) -> None:
        nonlocal status
        driver = await CachedDisc.open(FileContext(name))
        data = memoryview(bytearray(4096))
        await driver.pread(0, data, 0)
        assert driver.pread_at_once(0, data)
        assert driver.pwrite_at_once(0, data)
        (found,) = driver.find_in_memory(0, 4096)
        found.release()
        status = 1
        assert not driver.find_in_memory(0, 4096)
        assert not driver.pread_at_once(0, data)
        assert not driver.pwrite_at_once(0, data)
        await driver.close()

    with loop_device(tmp_path, CONTENT) as name:
        asyncio.run(main(name))


@pytest.mark.parametrize("direct", [False, True])
def test_a_block_device_is_read_written_zeroed_and_discarded(tmp_path: Path, direct: bool) -> None:
    async def main(name: str) -> None:
        assert device_driver(name) == "host_device"
        driver = await opened(name, direct=direct)
        limits = driver.limits
        assert driver.size == len(CONTENT)
        assert limits.request_alignment == limits.min_mem_alignment == (512 if direct else 1)
        assert limits.pwrite_zeroes_alignment == (0 if direct else 512)
        assert limits.max_hw_transfer % 512 == 0 < limits.max_hw_transfer
        await driver.pwrite(4096, memoryview(b"x" * 4096), 0)
        await driver.pwrite_zeroes(8192, 4096, 0)
        await driver.pwrite_zeroes(12288, 4096, flags.MAY_UNMAP)
        assert await read(driver, 0, 16384) == CONTENT[:4096] + b"x" * 4096 + bytes(8192)
        await driver.pdiscard(65536, 65536)
        status = await driver.block_status(8192, 4096)
        assert (status.is_data, status.is_zero, status.host_offset) == (True, False, 8192)
        await driver.flush()
        await driver.close()

    with loop_device(tmp_path, CONTENT) as name:
        asyncio.run(main(name))


def test_a_write_past_the_end_of_a_block_device_finds_no_space(tmp_path: Path) -> None:
    async def main(name: str) -> None:
        driver = await opened(name)
        assert driver.can_grow
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            await driver.pwrite(len(CONTENT), memoryview(bytes(4096)), 0)
        assert driver.size == len(CONTENT)
        await driver.close()

    with loop_device(tmp_path, CONTENT) as name:
        asyncio.run(main(name))


def test_a_device_is_taken_for_an_image_that_it_has_room_for(tmp_path: Path) -> None:
    async def main(name: str) -> None:
        with pytest.raises(QMPError, match="Cannot grow device files"):
            await HostDeviceDriver.create_file({"filename": name, "size": len(CONTENT) + 512})
        with pytest.raises(QMPError, match="Unsupported preallocation mode 'full'"):
            await HostDeviceDriver.create_file({"filename": name, "size": 512, "preallocation": "full"})
        driver = await opened(name)
        assert await read(driver, 0, 1024) == CONTENT[:1024]
        await HostDeviceDriver.create_file({"filename": name, "size": 4096})
        await driver.reread()
        assert await read(driver, 0, 1024) == bytes(512) + CONTENT[512:1024]
        await driver.close()

    with loop_device(tmp_path, CONTENT) as name:
        asyncio.run(main(name))


def test_what_is_no_device_is_not_taken_for_an_image(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"precious")
    with pytest.raises(QMPError, match="to be either a character or block device"):
        asyncio.run(HostDeviceDriver.create_file({"filename": str(tmp_path / "file"), "size": 0}))
    with pytest.raises(QMPError, match="Could not open"):
        asyncio.run(HostDeviceDriver.create_file({"filename": str(tmp_path / "none"), "size": 0}))
    assert (tmp_path / "file").read_bytes() == b"precious"


def test_a_device_that_cannot_be_written_is_opened_for_reading_only(tmp_path: Path) -> None:
    async def main(name: str) -> None:
        with pytest.raises(QMPError, match="The device is not writable: Permission denied"):
            await opened(name)
        driver = await opened(name, auto_read_only=True)
        with pytest.raises(QMPError, match="The device is not writable"):
            await driver.prepare_permissions(PermissionSet(Permission.WRITE, PERM_ALL))
        assert await read(driver, 0, 512) == CONTENT[:512]
        await driver.close()

    with loop_device(tmp_path, CONTENT, read_only=True) as name:
        asyncio.run(main(name))
