"""Compressed clusters are packed, overwritten and freed, and QEMU reads them."""

import asyncio
import errno
import random
from pathlib import Path
from typing import Any

import pytest

from qmpserver.drivers.qcow2.driver import Qcow2Driver
from tests.contract.engine import Context, Engine, MemoryFile
from tests.images import judge, qemu_check, qemu_img

KiB, MiB = 1024, 1024 * 1024
SIZE = 256 * KiB + 512


def need_zstd(compression: str) -> None:
    if compression == "zstd":
        pytest.importorskip("zstandard", reason="the 'zstandard' package is not installed")


async def make(**options: Any) -> tuple[MemoryFile, Engine]:
    file = MemoryFile()
    await Qcow2Driver.create(file, {"size": SIZE, **options})
    return file, Engine(await Qcow2Driver.open(Context({"file": file})))


async def reopen(file: MemoryFile, engine: Engine) -> Engine:
    await engine.driver.close()
    assert judge(file.data) == ([], 0)
    return Engine(await Qcow2Driver.open(Context({"file": file})))


def content(rng: random.Random, length: int) -> bytes:
    """Return bytes of which some parts shrink much, some little, and some not at all."""
    parts = []
    while length > 0:
        unit = rng.choice((1, 20, 700, 4096))
        parts.append((rng.randbytes(unit) * 4096)[: rng.randrange(512, 20000)])
        length -= len(parts[-1])
    return b"".join(parts)


@pytest.mark.parametrize("compression", ["zlib", "zstd"])
@pytest.mark.parametrize("cluster_size", [512, 4096, 65536])
@pytest.mark.parametrize("width", [1, 2, 16])
def test_what_was_written_compressed_is_read_again(width: int, cluster_size: int, compression: str) -> None:
    need_zstd(compression)

    async def run() -> None:
        rng = random.Random(f"{width}{cluster_size}")
        options = {"refcount-bits": width, "cluster-size": cluster_size, "compression-type": compression}
        file, engine = await make(**options)
        model = bytearray(content(rng, SIZE)[:SIZE])
        shrank = await engine.write_compressed(0, bytes(model))
        assert any(shrank)
        for _ in range(3):
            engine = await reopen(file, engine)
            assert await engine.read(0, SIZE) == model
            for _ in range(8):
                offset = rng.randrange(SIZE // cluster_size + 1) * cluster_size
                length = min(cluster_size * 3, SIZE - offset)
                data = content(rng, length)[:length]
                write = engine.write_compressed if rng.random() < 0.6 else engine.write
                await write(offset, data)
                model[offset : offset + len(data)] = data
        await reopen(file, engine)

    asyncio.run(run())


def test_small_clusters_share_host_clusters() -> None:
    async def run() -> None:
        file, engine = await make(**{"cluster-size": 4096})
        empty = len(file.data)
        await engine.write_compressed(0, b"".join(bytes([n % 255 + 1]) * 4096 for n in range(64)))
        await engine.driver.flush()
        assert len(file.data) - empty < 4 * 4096

    asyncio.run(run())


def test_with_counts_of_one_bit_no_cluster_is_shared() -> None:
    async def run() -> None:
        file, engine = await make(**{"cluster-size": 4096, "refcount-bits": 1})
        await engine.write_compressed(0, b"x" * 4096 * 8)
        engine = await reopen(file, engine)
        assert await engine.read(0, 4096 * 8) == b"x" * 4096 * 8

    asyncio.run(run())


def test_what_does_not_shrink_is_left_to_the_engine() -> None:
    async def run() -> None:
        file, engine = await make()
        data = random.Random(1).randbytes(65536)
        assert await engine.write_compressed(0, data) == [False]
        engine = await reopen(file, engine)
        assert await engine.read(0, 65536) == data

    asyncio.run(run())


def test_a_compressed_write_that_fails_leaves_the_old_content_and_no_leak() -> None:
    async def run() -> None:
        file, engine = await make(**{"cluster-size": 4096})
        await engine.write_compressed(0, b"a" * 4096)
        await engine.driver.flush()
        file.fail_next = [OSError(errno.EIO, "Input/output error")]
        with pytest.raises(OSError, match="Input/output error"):
            await engine.write_compressed(0, b"b" * 4096)
        assert await engine.read(0, 4096) == b"a" * 4096
        await engine.write_compressed(4096, b"c" * 4096)
        engine = await reopen(file, engine)
        assert await engine.read(0, 8192) == b"a" * 4096 + b"c" * 4096

    asyncio.run(run())


def test_clusters_that_only_compressed_data_used_are_free_once_it_is_overwritten() -> None:
    async def run() -> None:
        file, engine = await make(**{"cluster-size": 4096})
        sizes = []
        for _ in range(4):
            await engine.write_compressed(0, content(random.Random(3), SIZE)[: 256 * KiB])
            await engine.driver.flush()
            sizes.append(len(file.data))
        # In threads the clusters end in another order each time, and are packed a little differently.
        assert sizes[-1] < sizes[1] * 1.1

    asyncio.run(run())


@pytest.mark.parametrize("compression", ["zlib", "zstd"])
@pytest.mark.parametrize("cluster_size", [512, 4096, 65536, 2 * MiB])
def test_qemu_reads_what_was_written_compressed(tmp_path: Path, cluster_size: int, compression: str) -> None:
    need_zstd(compression)
    data = content(random.Random(cluster_size), SIZE)[:SIZE]

    async def write() -> MemoryFile:
        file, engine = await make(**{"cluster-size": cluster_size, "compression-type": compression})
        await engine.write_compressed(0, data)
        await engine.driver.close()
        return file

    image, plain = tmp_path / "image.qcow2", tmp_path / "plain"
    image.write_bytes(asyncio.run(write()).data)
    plain.write_bytes(data)
    assert qemu_check(image) == {}
    qemu_img("compare", "-f", "qcow2", "-F", "raw", image, plain)
