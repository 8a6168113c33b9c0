"""The log is, byte for byte, what QEMU writes; it can be continued, and what is no log is refused."""

import asyncio
import json
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from qmpserver.drivers.blklogwrites import BlkLogWritesDriver
from qmpserver.errors import QMPError
from tests.contract.engine import MemoryFile
from tests.contract.filter_contract import FilterContract
from tests.peers import need
from tests.unit.drivers.context import NodeContext

MAGIC = 0x6A736677736872


async def open_filter(file: MemoryFile, log: MemoryFile, **options: Any) -> BlkLogWritesDriver:
    named = {name.replace("_", "-"): value for name, value in options.items()}
    return await BlkLogWritesDriver.open(NodeContext({"file": file, "log": log}, options=named))


def superblock(entries: int, sector_size: int = 512, *, magic: int = MAGIC, version: int = 1) -> bytes:
    return struct.pack("<QQQI", magic, version, entries, sector_size).ljust(sector_size, b"\0")


def entry(sector: int, sectors: int, flags: int, data: bytes = b"", *, sector_size: int = 512) -> bytes:
    return struct.pack("<QQQQ", sector, sectors, flags, 0).ljust(sector_size, b"\0") + data


class TestBlkLogWrites(FilterContract):
    """A filter with a log that is never full."""

    async def open(self, file: MemoryFile, *, read_only: bool = False) -> BlkLogWritesDriver:
        return await open_filter(file, MemoryFile())


async def play(driver: BlkLogWritesDriver) -> None:
    await driver.pwrite(0, memoryview(b"\1" * 1024), 0)
    await driver.pwrite(1024, memoryview(b"\2" * 512), 0)
    await driver.flush()
    await driver.pwrite_zeroes(4096, 8192, 0)
    await driver.pdiscard(8192, 4096)
    await driver.pwrite(0, memoryview(b"\1" * 100 + b"\3" * 100 + b"\1" * 312), 0)
    await driver.flush()


WRITTEN = (
    entry(0, 2, 0, b"\1" * 1024)
    + entry(2, 1, 0, b"\2" * 512)
    + entry(0, 0, 1)
    + entry(8, 16, 0, bytes(8192))
    + entry(16, 8, 4)
    + entry(0, 1, 0, b"\1" * 100 + b"\3" * 100 + b"\1" * 312)
    + entry(0, 0, 1)
)


def test_every_change_is_in_the_log_in_order() -> None:
    log = MemoryFile()

    async def main() -> None:
        driver = await open_filter(MemoryFile(bytes(65536)), log)
        assert log.data == b""
        await play(driver)

    asyncio.run(main())
    assert log.data == superblock(7) + WRITTEN


def test_a_log_is_continued_where_it_ends() -> None:
    log = MemoryFile()

    async def main() -> None:
        await play(await open_filter(MemoryFile(bytes(65536)), log))
        await play(await open_filter(MemoryFile(bytes(65536)), log, log_append=True))

    asyncio.run(main())
    assert log.data == superblock(14) + WRITTEN + WRITTEN


def test_the_superblock_follows_after_so_many_entries() -> None:
    log = MemoryFile()

    async def main() -> None:
        driver = await open_filter(
            MemoryFile(bytes(65536)), log, log_super_update_interval=3, log_sector_size=4096
        )
        assert driver.limits.request_alignment == 4096
        for count in (0, 0, 3, 3, 3, 6):
            await driver.pwrite(4096, memoryview(b"x" * 4096), 0)
            assert (log.data[:24] == superblock(count)[:24]) == bool(count)

    asyncio.run(main())
    assert log.data[4096:] == entry(1, 1, 0, b"x" * 4096, sector_size=4096) * 6


def test_writes_at_the_same_time_have_entries_of_their_own() -> None:
    log = MemoryFile(yields=True)

    async def main() -> None:
        driver = await open_filter(MemoryFile(bytes(65536), yields=True), log, log_super_update_interval=1)
        await asyncio.gather(
            *(driver.pwrite(at * 512, memoryview(bytes([at]) * 512), 0) for at in range(20)), driver.flush()
        )
        await driver.flush()

    asyncio.run(main())
    assert log.data[:512] == superblock(22)
    place, seen = 512, set()
    for _ in range(22):
        sector, sectors, flags, _ = struct.unpack_from("<QQQQ", log.data, place)
        assert flags == 1 or log.data[place + 512 : place + 1024] == bytes([sector]) * 512
        seen.add((sector, flags))
        place += 512 + sectors * 512
    assert seen == {(at, 0) for at in range(20)} | {(0, 1)}


@pytest.mark.parametrize(
    ("log", "options", "text"),
    [
        (bytes(512), {"log_append": True}, "Invalid log superblock magic"),
        (superblock(0, version=2), {"log_append": True}, "Unsupported log version 2"),
        (superblock(0, 511), {"log_append": True}, "Invalid log sector size 511"),
        (b"", {"log_sector_size": 100}, "Invalid log sector size 100"),
        (b"", {"log_sector_size": 1 << 24}, "Invalid log sector size 16777216"),
        (
            b"",
            {"log_append": True, "log_sector_size": 512},
            "log-append and log-sector-size are mutually exclusive",
        ),
        (b"", {"log_super_update_interval": 0}, "Invalid log superblock update interval 0"),
    ],
)
def test_what_is_no_log_and_options_without_sense_are_refused(
    log: bytes, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(QMPError) as caught:
        asyncio.run(open_filter(MemoryFile(), MemoryFile(log), **options))
    assert caught.value.description == text


@pytest.mark.parametrize("sectors", [1 << 60, 9999])
def test_a_log_whose_entries_lead_past_its_end_is_no_endless_walk(sectors: int) -> None:
    log = MemoryFile(superblock(1 << 60) + entry(0, sectors, 0))
    asyncio.run(open_filter(MemoryFile(), log, log_append=True))


def entries(log: bytes) -> list[bytes]:
    """Return the entries with their data, flushes left out: QEMU flushes more often."""
    found, place = [], 512
    while place < len(log):
        _, sectors, flags, _ = struct.unpack_from("<QQQQ", log, place)
        end = place + 512 + (0 if flags & 4 else sectors * 512)
        if flags != 1:
            found.append(log[place:end])
        place = end
    return found


def test_qemu_writes_the_same_log(tmp_path: Path) -> None:
    for name, size in (("file", 65536), ("log", 0)):
        (tmp_path / name).write_bytes(bytes(size))
    children = {name: {"driver": "file", "filename": str(tmp_path / name)} for name in ("file", "log")}
    image = "json:" + json.dumps({"driver": "blklogwrites", "discard": "unmap", **children})
    commands = (
        "write -P 1 0 1k",
        "write -P 2 1k 512",
        "flush",
        "write -z 4k 8k",
        "discard 8k 4k",
        "write -P 3 100 100",
        "flush",
    )
    options = [part for command in commands for part in ("-c", command)]
    subprocess.run(
        [need("qemu-io"), "-d", "unmap", *options, image], check=True, capture_output=True, timeout=60
    )
    log = (tmp_path / "log").read_bytes()
    assert entries(log) == entries(superblock(7) + WRITTEN)
    head = struct.unpack_from("<QQQI", log)
    assert (head[0], head[1], head[3]) == (MAGIC, 1, 512)
