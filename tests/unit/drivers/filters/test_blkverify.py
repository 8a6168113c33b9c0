"""The blkverify filter writes to both, compares what it reads, and says where they differ."""

import asyncio
import errno
import io
import os

import pytest

from qmpserver.driver_api.flags import COPY_ON_READ, PREFETCH
from qmpserver.drivers.blkverify import BlkverifyDriver
from tests.contract.engine import MemoryFile
from tests.unit.drivers.context import NodeContext

SIZE = 65536
EIO = os.strerror(errno.EIO)


async def open_filter(raw: MemoryFile, test: MemoryFile) -> BlkverifyDriver:
    return await BlkverifyDriver.open(NodeContext({"raw": raw, "test": test}))


def test_both_get_every_write_and_agree() -> None:
    raw, test = MemoryFile(bytes(SIZE)), MemoryFile(bytes(SIZE))

    async def main() -> None:
        driver = await open_filter(raw, test)
        assert driver.size == SIZE
        await driver.pwrite(4096, memoryview(b"x" * 4096), 0)
        into = memoryview(bytearray(SIZE))
        await driver.pread(0, into, COPY_ON_READ | PREFETCH)
        assert into == raw.data == test.data == bytes(4096) + b"x" * 4096 + bytes(SIZE - 8192)
        await driver.flush()
        await driver.truncate(8192)

    asyncio.run(main())
    assert raw.log == test.log
    assert ("flush",) in raw.log
    assert len(raw.data) == 8192


@pytest.mark.parametrize("place", [0, 1, 5000, 65535])
def test_a_difference_fails_the_read_and_is_told(place: int, logged: io.StringIO) -> None:
    raw, test = MemoryFile(bytes(SIZE)), MemoryFile(bytes(SIZE))
    test.data[place] = 1

    async def main() -> None:
        driver = await open_filter(raw, test)
        with pytest.raises(OSError, match=EIO):
            await driver.pread(0, memoryview(bytearray(SIZE)), 0)

    asyncio.run(main())
    told = logged.getvalue()
    assert "contents mismatch" in told
    assert f"offset={place} " in told


@pytest.mark.parametrize(
    ("raw_error", "test_error", "told"),
    [
        (None, errno.ENOSPC, f"return value mismatch: raw 0, test {errno.ENOSPC}"),
        (errno.ENOSPC, None, f"return value mismatch: raw {errno.ENOSPC}, test 0"),
        (errno.ENOSPC, errno.ENOSPC, None),
    ],
)
def test_both_must_end_alike(
    raw_error: int | None, test_error: int | None, told: str | None, logged: io.StringIO
) -> None:
    raw, test = MemoryFile(bytes(SIZE)), MemoryFile(bytes(SIZE))
    for file, code in ((raw, raw_error), (test, test_error)):
        file.fail_next = [OSError(code, os.strerror(code)) if code else None]

    async def main() -> None:
        driver = await open_filter(raw, test)
        with pytest.raises(OSError, match=EIO if told else os.strerror(errno.ENOSPC)):
            await driver.pwrite(0, memoryview(b"x" * 512), 0)

    asyncio.run(main())
    assert (told or "") in logged.getvalue()


def test_zeroes_are_written_out_and_discards_dropped() -> None:
    async def main() -> None:
        driver = await open_filter(MemoryFile(bytes(SIZE)), MemoryFile(bytes(SIZE)))
        for request in (driver.pwrite_zeroes(0, 512, 0), driver.pdiscard(0, 512), driver.allocated_size()):
            with pytest.raises(OSError, match=os.strerror(errno.ENOTSUP)):
                await request
        assert (await driver.block_status(0, SIZE)).is_data
        assert driver.exact_filename == "blkverify:file:file"
        assert not driver.supports_compressed_writes

    asyncio.run(main())
