"""The driver and the real QEMU tools read, check and write what the other wrote."""

import asyncio
import json
import random
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from qmpserver.drivers.qcow2.driver import Qcow2Driver
from tests.contract.engine import Context, Engine, MemoryFile
from tests.images import make_qcow2, qemu_check, qemu_img, qemu_io
from tests.peers import need

T = TypeVar("T")
MiB = 1 << 20
SIZE = 4 * MiB
CLUSTER_SIZES = [512 << shift for shift in range(13)]


def on_image(
    path: Path, body: Callable[[Engine], Awaitable[T]], *, read_only: bool = False, base: bytes | None = None
) -> T:
    """Run `body` on the image at `path`, closing it and storing the result there."""

    file = MemoryFile(path.read_bytes())

    async def whole() -> T:
        backing = MemoryFile(base) if base is not None else None
        children = {"file": file, **({"backing": backing} if backing is not None else {})}
        driver = await Qcow2Driver.open(Context(children, read_only=read_only))
        result = await body(Engine(driver, backing))
        await driver.close()
        return result

    result = asyncio.run(whole())
    if not read_only:
        path.write_bytes(file.data)
    return result


def read_whole(path: Path, base: bytes | None = None) -> bytes:
    """Read an image through the driver."""
    return on_image(path, lambda engine: engine.read(0, engine.driver.size), read_only=True, base=base)


def as_qemu_reads(path: Path) -> bytes:
    """Read an image through ``qemu-img convert``."""
    raw = path.with_suffix(".raw")
    qemu_img("convert", "-f", "qcow2", "-O", "raw", path, raw)
    return raw.read_bytes()


def compare(path: Path, expected: bytes | bytearray) -> None:
    """Hold an image against its content with the real tools."""
    assert qemu_check(path) == {}
    plain = path.with_suffix(".plain")
    plain.write_bytes(expected)
    qemu_img("compare", "-f", "qcow2", "-F", "raw", path, plain)


async def scribble(engine: Engine, model: bytearray, seed: int) -> None:
    """Write, zero and discard at random."""
    rng = random.Random(seed)
    for _ in range(30):
        offset = rng.randrange(SIZE // 512) * 512
        length = min(rng.choice((512, 8192, 200 * 512, MiB)), SIZE - offset)
        if rng.random() < 0.75:
            data = bytes([rng.randrange(1, 256)]) * length
            await engine.write(offset, data)
            model[offset : offset + length] = data
            continue
        offset, length = engine.whole_clusters(offset, length)
        if length:
            await engine.zero(offset, length, may_unmap=rng.random() < 0.5)
            model[offset : offset + length] = bytes(length)


@pytest.mark.parametrize("cluster_size", CLUSTER_SIZES)
@pytest.mark.parametrize("compat", ["0.10", "1.1"])
def test_the_driver_reads_and_overwrites_what_qemu_wrote(
    tmp_path: Path, compat: str, cluster_size: int
) -> None:
    image = make_qcow2(tmp_path / "image.qcow2", str(SIZE), compat=compat, cluster_size=cluster_size)
    qemu_io(
        image, "write -P 17 0 1M", "write -P 34 1500k 100k", "write -z 200k 300k", "write -z -u 600k 64k",
        "discard 2M 1M", "write -P 51 300k 1k",
    )  # fmt: skip
    qemu_io(image, f"write -c -P 68 2M {max(cluster_size, 1024)}")
    model = bytearray(as_qemu_reads(image))
    assert read_whole(image) == model
    on_image(image, lambda engine: scribble(engine, model, cluster_size))
    compare(image, model)


@pytest.mark.parametrize("width", [1, 2, 4, 8, 16, 32, 64])
def test_every_refcount_width_is_shared_with_qemu(tmp_path: Path, width: int) -> None:
    image = make_qcow2(tmp_path / "image.qcow2", str(SIZE), refcount_bits=width, cluster_size=1024)
    qemu_io(image, "write -P 17 0 1M")
    model = bytearray(b"\x11" * MiB + bytes(SIZE - MiB))
    on_image(image, lambda engine: scribble(engine, model, width))
    compare(image, model)
    qemu_io(image, "write -P 34 0 4M")
    assert read_whole(image) == b"\x22" * SIZE


@pytest.mark.parametrize("compression", ["zlib", "zstd"])
@pytest.mark.parametrize("cluster_size", [4096, 65536, 2 * MiB])
def test_compressed_clusters_are_read_and_overwritten(
    tmp_path: Path, compression: str, cluster_size: int
) -> None:
    if compression == "zstd":
        pytest.importorskip("zstandard", reason="the 'zstandard' package is not installed")
    rng = random.Random(1)
    model = bytearray(b"".join(rng.randbytes(50) * 41 for _ in range(SIZE // 2050 + 1))[:SIZE])
    plain, image = tmp_path / "plain", tmp_path / "image.qcow2"
    plain.write_bytes(model)
    options = f"compression_type={compression},cluster_size={cluster_size}"
    qemu_img("convert", "-c", "-f", "raw", "-O", "qcow2", "-o", options, plain, image)
    assert read_whole(image) == model
    on_image(image, lambda engine: scribble(engine, model, cluster_size))
    compare(image, model)


@pytest.mark.parametrize("cluster_size", [512, 4096, 65536])
@pytest.mark.parametrize("compat", ["0.10", "1.1"])
def test_clusters_shared_with_snapshots_are_copied_before_they_are_written(
    tmp_path: Path, compat: str, cluster_size: int
) -> None:
    image = make_qcow2(tmp_path / "image.qcow2", str(SIZE), compat=compat, cluster_size=cluster_size)
    model = bytearray(SIZE)
    states = []
    for number in range(3):
        on_image(image, lambda engine, seed=number: scribble(engine, model, seed))  # type: ignore[misc]
        compare(image, model)
        qemu_img("snapshot", "-c", f"s{number}", image)
        states.append(bytes(model))
    on_image(image, lambda engine: scribble(engine, model, 99))
    compare(image, model)
    for number, state in enumerate(states):
        qemu_img("snapshot", "-a", f"s{number}", image)
        assert read_whole(image) == state
    qemu_img("snapshot", "-d", "s1", image)
    model = bytearray(states[2])
    on_image(image, lambda engine: scribble(engine, model, 7))
    compare(image, model)


def test_qemu_follows_the_backing_file_that_the_driver_stores(tmp_path: Path) -> None:
    base, other = tmp_path / "base.raw", tmp_path / "other.raw"
    base.write_bytes(b"b" * SIZE)
    other.write_bytes(b"o" * SIZE)
    image = make_qcow2(tmp_path / "image.qcow2", str(SIZE), backing_file=base, backing_fmt="raw")
    model = bytearray(b"b" * SIZE)
    on_image(image, lambda engine: scribble(engine, model, 1), base=base.read_bytes())
    compare(image, model)

    async def change(engine: Engine) -> None:
        driver = engine.driver
        assert isinstance(driver, Qcow2Driver)
        assert (driver.backing_filename, driver.backing_format) == (str(base), "raw")
        await driver.change_backing_file(str(other), "raw")

    on_image(image, change)
    info = json.loads(qemu_img("info", "--output=json", image))
    assert (info["backing-filename"], info["backing-filename-format"]) == (str(other), "raw")
    qemu_img("rebase", "-u", "-b", base, "-F", "raw", image)
    compare(image, model)


@pytest.mark.parametrize("preallocation", ["off", "metadata", "falloc", "full"])
@pytest.mark.parametrize("size", [0, 512, SIZE, 200 << 30])
@pytest.mark.parametrize("cluster_size", [512, 65536, 2 * MiB])
def test_qemu_accepts_new_images(tmp_path: Path, cluster_size: int, size: int, preallocation: str) -> None:
    if size > 1 << 30 and (preallocation != "off" or cluster_size == 512):
        size = 64 * MiB if cluster_size > 512 else SIZE

    async def create() -> bytes:
        file = MemoryFile()
        options = {"size": size, "cluster-size": cluster_size, "preallocation": preallocation}
        await Qcow2Driver.create(file, options)
        return bytes(file.data)

    image = tmp_path / "image.qcow2"
    image.write_bytes(asyncio.run(create()))
    assert qemu_check(image) == {}
    info = json.loads(qemu_img("info", "--output=json", image))
    assert (info["virtual-size"], info["cluster-size"]) == (size, cluster_size)
    if size >= SIZE:
        qemu_io(image, "write -P 17 1M 2M", "read -P 0 0 1M")
        assert (
            on_image(image, lambda engine: engine.read(MiB - 512, 1024), read_only=True)
            == bytes(512) + b"\x11" * 512
        )


def test_qemu_accepts_resized_images(tmp_path: Path) -> None:
    image = make_qcow2(tmp_path / "image.qcow2", str(SIZE), cluster_size=512)
    qemu_io(image, "write -P 17 0 4M")

    async def resize(engine: Engine) -> None:
        await engine.driver.truncate(MiB + 512)
        await engine.driver.truncate(8 * MiB)
        await engine.write(7 * MiB, b"x" * 512)

    on_image(image, resize)
    expected = bytearray(8 * MiB)
    expected[: MiB + 512] = b"\x11" * (MiB + 512)
    expected[7 * MiB : 7 * MiB + 512] = b"x" * 512
    compare(image, expected)


def test_an_image_that_qemu_left_dirty_is_repaired(tmp_path: Path) -> None:
    image = make_qcow2(tmp_path / "image.qcow2", str(SIZE), lazy_refcounts="on")
    command: list[str | Path] = [
        need("qemu-io"),
        "-f",
        "qcow2",
        "-c",
        "write -P 17 0 1M",
        "-c",
        "flush",
        "-c",
        "abort",
        image,
    ]
    subprocess.run(command, capture_output=True, check=False)
    assert image.read_bytes()[79] & 1
    model = bytearray(b"\x11" * MiB + bytes(SIZE - MiB))
    assert read_whole(image) == model
    on_image(image, lambda engine: scribble(engine, model, 3))
    compare(image, model)
