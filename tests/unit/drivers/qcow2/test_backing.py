"""Changing the backing file name keeps everything else in the header."""

import asyncio
import errno
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from qmpserver.driver_api.extras import CheckMode, SnapshotInfo
from qmpserver.drivers.qcow2 import extensions as ext
from qmpserver.drivers.qcow2.driver import Qcow2Driver
from qmpserver.drivers.qcow2.header import Header
from tests.contract.engine import Context, Engine, MemoryFile


async def with_unknown_parts() -> MemoryFile:
    """Make an image with a longer header than ours and an extension that nobody knows."""
    file = MemoryFile()
    await Qcow2Driver.create(file, {"size": 1 << 20, "cluster-size": 4096})
    file.data[100:104] = struct.pack(">I", 128)
    file.data[112:128] = b"from the future!"
    unknown = struct.pack(">II", 0x12345678, 5) + b"hello\0\0\0"
    file.data[128 : 128 + 24] = unknown + bytes(8)
    return file


def parse(file: MemoryFile) -> tuple[Header, list[ext.Extension]]:
    header = Header.parse(bytes(file.data[:112]))
    return header, ext.parse_extensions(bytes(file.data[: header.cluster_size]), header)


@pytest.mark.parametrize("name", ["base.img", "/" * 900])
def test_unknown_extensions_and_header_fields_are_preserved(name: str) -> None:
    async def run() -> None:
        file = await with_unknown_parts()
        driver = await Qcow2Driver.open(Context({"file": file}))
        await driver.change_backing_file(name, "raw")
        await driver.close()
        header, extensions = parse(file)
        assert header.header_length == 128
        assert file.data[112:128] == b"from the future!"
        assert extensions == [ext.Extension(ext.BACKING_FORMAT, b"raw"), ext.Extension(0x12345678, b"hello")]
        again = await Qcow2Driver.open(Context({"file": file}))
        assert (again.backing_filename, again.backing_format) == (name, "raw")

    asyncio.run(run())


async def _take_snapshot(driver: Qcow2Driver) -> None:
    await driver.create_snapshot(SnapshotInfo("", "s"))
    await driver.apply_snapshot("1", None)
    await driver.delete_snapshot("1", None)


REWRITES: list[Callable[[Qcow2Driver], Awaitable[Any]]] = [
    lambda driver: driver.amend({"lazy-refcounts": True}),
    lambda driver: driver.amend({"refcount-bits": 64}),
    lambda driver: driver.truncate(1 << 30),
    lambda driver: driver.truncate(512),
    lambda driver: driver.check(CheckMode.ALL),
    _take_snapshot,
]


@pytest.mark.parametrize("rewrite", REWRITES)
def test_every_other_change_of_the_header_preserves_them_too(
    rewrite: Callable[[Qcow2Driver], Awaitable[Any]],
) -> None:
    async def run() -> None:
        file = await with_unknown_parts()
        before = bytes(file.data[112:4096])
        driver = await Qcow2Driver.open(Context({"file": file}))
        await Engine(driver).write(0, b"x" * 4096)
        await rewrite(driver)
        await driver.close()
        assert file.data[112:4096] == before
        assert parse(file)[1] == [ext.Extension(0x12345678, b"hello")]

    asyncio.run(run())


def test_the_names_of_features_stay_while_the_backing_file_does() -> None:
    async def run() -> None:
        file = MemoryFile()
        await Qcow2Driver.create(file, {"size": 1 << 20, "backing-file": "base"})
        driver = await Qcow2Driver.open(Context({"file": file}))
        for rewrite in REWRITES:
            await rewrite(driver)
        await driver.close()
        assert [one.kind for one in parse(file)[1]] == [ext.FEATURE_NAMES]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("name", "backing_format", "code"),
    [
        ("x" * 1024, None, errno.EINVAL),
        (None, "raw", errno.EINVAL),
        ("x", "a-very-long-format", errno.EINVAL),
    ],
)
def test_a_name_that_cannot_be_held_leaves_the_image_as_it_was(
    name: str | None, backing_format: str | None, code: int
) -> None:
    async def run() -> None:
        file = await with_unknown_parts()
        driver = await Qcow2Driver.open(Context({"file": file}))
        await driver.change_backing_file("old", None)
        before = bytes(file.data)
        with pytest.raises(OSError, match=r"\[Errno") as caught:
            await driver.change_backing_file(name, backing_format)
        assert caught.value.errno == code
        assert file.data == before
        assert driver.backing_filename == "old"

    asyncio.run(run())


def test_what_was_written_is_durable_before_the_name_changes() -> None:
    async def run() -> None:
        file = await with_unknown_parts()
        driver = await Qcow2Driver.open(Context({"file": file}))
        await Engine(driver).write(0, b"x" * 8192)
        file.log.clear()
        await driver.change_backing_file(None, None)
        header_write = next(n for n, entry in enumerate(file.log) if entry[:2] == ("write", 0))
        assert file.log[header_write - 1][0] == "flushed"
        assert file.log[-1][0] == "flushed"

    asyncio.run(run())
