"""The engine over the real qcow2 driver, on files in memory."""

import asyncio
import errno
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from qmpserver.block.info import image_info
from qmpserver.block.node import Node
from qmpserver.driver_api import flags
from qmpserver.driver_api.registry import DriverRegistry
from qmpserver.drivers.qcow2.driver import Qcow2Driver
from qmpserver.errors import QMPError
from tests.contract.engine import MemoryFile
from tests.images import judge
from tests.unit.block import memory_drivers as memory
from tests.unit.block.conftest import MODULE, Engine
from tests.unit.block.memory_drivers import FILES

MiB = 1 << 20
MakeEngine = Callable[[], Engine]


async def make_image(filename: str, **options: Any) -> None:
    file = MemoryFile()
    await Qcow2Driver.create(file, {"size": MiB + 512, **options})
    FILES[filename] = file.data


async def open_image(engine: Engine, filename: str, **options: Any) -> Node:
    """Open a qcow2 node over a file in memory."""
    engine.opener._registry = DriverRegistry(
        {
            "file": f"{MODULE}:MemoryFile",
            "raw": "qmpserver.drivers.raw:RawDriver",
            "qcow2": "qmpserver.drivers.qcow2.driver:Qcow2Driver",
            "copy-on-read": "qmpserver.drivers.copy_on_read:CopyOnReadDriver",
        }
    )
    file = {"driver": "file", "filename": filename}
    return await engine.opener.open({"driver": "qcow2", "node-name": "image", "file": file, **options})


async def read(node: Node, offset: int, length: int) -> bytes:
    into = bytearray(length)
    await node.pread(offset, memoryview(into))
    return bytes(into)


def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(body())


def test_a_compressed_write_of_many_clusters_stores_each_as_well_as_it_can(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        await make_image("image", **{"cluster-size": 4096})
        node = await open_image(engine, "image")
        rng = random.Random(1)
        data = b"".join(rng.choice((rng.randbytes(4096), b"soft" * 1024)) for _ in range(257))[: MiB + 512]
        await node.pwrite(0, memoryview(data), flags.WRITE_COMPRESSED)
        assert await read(node, 0, MiB + 512) == data
        assert (await node.block_status(MiB, 512)).is_compressed
        await node.pwrite(4096, memoryview(data[:512]))
        await node.flush()
        assert judge(FILES["image"]) == ([], 0)
        assert await read(node, 4096, 4096) == data[:512] + data[4608:8192]

    run(scenario)


@pytest.mark.parametrize(("offset", "length"), [(512, 4096), (0, 512), (0, 4608)])
def test_a_compressed_write_is_of_whole_clusters(make_engine: MakeEngine, offset: int, length: int) -> None:
    async def scenario() -> None:
        engine = make_engine()
        await make_image("image", **{"cluster-size": 4096})
        node = await open_image(engine, "image")
        with pytest.raises(OSError, match="Invalid argument") as caught:
            await node.pwrite(offset, memoryview(bytes(length)), flags.WRITE_COMPRESSED)
        assert caught.value.errno == errno.EINVAL

    run(scenario)


def test_a_format_without_compression_refuses_and_a_filter_passes_it_on(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        await make_image("image", **{"cluster-size": 4096})
        node = await open_image(engine, "image")
        over = await engine.opener.open({"driver": "copy-on-read", "node-name": "over", "file": "image"})
        await over.pwrite(0, memoryview(b"x" * 4096), flags.WRITE_COMPRESSED)
        assert (await node.block_status(0, 512)).is_compressed
        FILES["plain"] = bytearray(4096)
        file = {"driver": "file", "filename": "plain"}
        plain = await engine.opener.open({"driver": "raw", "node-name": "raw", "file": file})
        with pytest.raises(OSError, match="not supported") as caught:
            await plain.pwrite(0, memoryview(b"x" * 4096), flags.WRITE_COMPRESSED)
        assert caught.value.errno == errno.ENOTSUP

    run(scenario)


def test_a_compressed_write_that_fails_fails_the_request_once_all_has_ended(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        await make_image("image", **{"cluster-size": 4096, "compression-type": "zlib"})
        node = await open_image(engine, "image")
        file = node.children["file"].node
        assert isinstance(file.driver, memory.MemoryFile)
        file.driver.fail_writes = errno.ENOSPC
        with pytest.raises(OSError, match="No space left"):
            await node.pwrite(0, memoryview(b"x" * MiB), flags.WRITE_COMPRESSED)
        assert len(node.requests) == 0
        file.driver.fail_writes = None
        assert await read(node, 0, MiB) == bytes(MiB)

    run(scenario)


async def make_external(engine: Engine) -> None:
    """Make an image that keeps its data in the file ``data``."""
    file, data = MemoryFile(), MemoryFile()
    data.filename = "data"
    await Qcow2Driver.create(file, {"size": MiB, "data-file": data})
    FILES["image"], FILES["data"], FILES["other"] = file.data, data.data, bytearray(MiB)


def test_the_data_file_that_an_image_names_is_opened_through_the_gate(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        await make_external(engine)
        node = await open_image(engine, "image")
        assert engine.gated == ["data"]
        await node.pwrite(4096, memoryview(b"x" * 512))
        assert FILES["data"][4096:4608] == b"x" * 512
        assert list(node.children) == ["file", "data-file"]
        info = image_info(node, {}, flat=True)["format-specific"]["data"]
        assert (info["data-file"], info["data-file-raw"]) == ("data", False)

    run(scenario)


def test_a_data_file_that_the_client_names_is_taken_instead(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        await make_external(engine)
        other = {"driver": "file", "filename": "other", "node-name": "other"}
        node = await open_image(engine, "image", **{"data-file": other})
        assert engine.gated == []
        await node.pwrite(0, memoryview(b"y" * 512))
        assert FILES["other"][:512] == b"y" * 512

    run(scenario)


def test_a_data_file_that_may_not_or_cannot_be_opened_leaves_nothing_behind(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        await make_external(engine)
        del FILES["data"]
        with pytest.raises(QMPError, match=r"^Could not open 'data': No such file or directory$"):
            await open_image(engine, "image")

        def refuse(filename: str) -> None:
            raise QMPError(f"'{filename}' is not allowed")

        engine.opener._gate = refuse
        with pytest.raises(QMPError, match=r"^'data' is not allowed$"):
            await open_image(engine, "image")
        assert list(engine.graph) == []

    run(scenario)


def test_a_name_in_an_image_is_only_ever_a_path(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        await make_external(engine)
        name = 'json:{"driver":"null-co"}'
        file, data = MemoryFile(), MemoryFile()
        data.filename = name
        await Qcow2Driver.create(file, {"size": MiB, "data-file": data})
        FILES["image"], FILES[name] = file.data, data.data
        node = await open_image(engine, "image")
        assert engine.gated == [name]
        assert node.children["data-file"].node.driver.exact_filename == name

    run(scenario)


@pytest.mark.parametrize("options", [{}, {"extended-l2": True}], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_random_requests_over_a_backing_file_agree_with_a_plain_model(
    make_engine: MakeEngine, seed: int, options: dict[str, Any]
) -> None:
    async def scenario() -> None:
        rng = random.Random(seed)
        engine = make_engine()
        await make_image("image", **{"cluster-size": 16384, "backing-file": "base", **options})
        FILES["base"] = bytearray(rng.randbytes(MiB - 70000))
        model = bytearray(FILES["base"]).ljust(MiB + 512, b"\0")
        backing = {"driver": "raw", "file": {"driver": "file", "filename": "base"}}
        node = await open_image(engine, "image", backing=backing, discard="unmap")
        for _ in range(150):
            offset = rng.randrange(MiB + 512)
            length = min(rng.choice((1, 512, 5000, 70000)), MiB + 512 - offset)
            chance = rng.random()
            if chance < 0.35:
                into = bytearray(length)
                await node.pread(offset, memoryview(into), flags.COPY_ON_READ if chance < 0.25 else 0)
                assert into == model[offset : offset + length]
            elif chance < 0.6:
                data = (rng.randbytes(64) * (length // 64 + 1))[:length]
                await node.pwrite(offset, memoryview(data))
                model[offset : offset + length] = data
            elif chance < 0.75:
                await node.pwrite_zeroes(offset, length, flags.MAY_UNMAP if chance < 0.7 else 0)
                model[offset : offset + length] = bytes(length)
            elif chance < 0.9:
                start, length = offset // 16384 * 16384, min(49152, MiB - offset // 16384 * 16384)
                data = (rng.randbytes(64) * (length // 64 + 1))[:length]
                await node.pwrite(start, memoryview(data), flags.WRITE_COMPRESSED)
                model[start : start + length] = data
            else:
                await node.flush()
        assert await read(node, 0, MiB + 512) == model
        await node.flush()
        assert judge(FILES["image"]) == ([], 0)

    run(scenario)


def test_copy_on_read_stores_no_more_than_the_subclusters_that_were_read(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        await make_image("image", **{"backing-file": "base", "extended-l2": True})
        FILES["base"] = bytearray(b"b" * MiB)
        backing = {"driver": "raw", "file": {"driver": "file", "filename": "base"}}
        node = await open_image(engine, "image", backing=backing)
        await node.pwrite(0, memoryview(b"x" * 2048))
        into = bytearray(512)
        await node.pread(5000, memoryview(into), flags.COPY_ON_READ)
        assert into == b"b" * 512
        found, offset = [], 0
        while offset < 16384:
            status = await node.block_status(offset, 16384 - offset)
            found.append((status.is_allocated, status.length))
            offset += status.length
        assert found == [(True, 2048), (False, 2048), (True, 2048), (False, 10240)]

    run(scenario)
