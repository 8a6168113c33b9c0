"""Images with extended L2 entries: parts of clusters are present, zero or missing by themselves."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from qmpserver.__main__ import run as run_tool
from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.driver import BlockDriver
from qmpserver.driver_api.mapping import MappingKind
from qmpserver.drivers.qcow2.driver import Qcow2Driver
from qmpserver.drivers.qcow2.subclusters import bits_between, leading_run
from qmpserver.errors import CorruptImage
from tests.contract.driver_contract import MappingDriverContract
from tests.contract.engine import Context, Engine, MemoryFile
from tests.images import judge, make_qcow2, qemu_check, qemu_img, qemu_io

T = TypeVar("T")
KiB, MiB = 1024, 1024 * 1024
SIZE = MiB
COPIED = 1 << 63
DATA, ZERO, BACKING = MappingKind.DATA, MappingKind.ZERO, MappingKind.BACKING


class SubclusterContract(MappingDriverContract):
    options: dict[str, Any] = {}  # noqa: RUF012 - a subclass replaces it whole

    async def make(self, file: MemoryFile) -> None:
        await Qcow2Driver.create(file, {"size": self.size, "extended-l2": True, **self.options})

    async def open(self, file: MemoryFile, *, read_only: bool = False) -> BlockDriver:
        return await Qcow2Driver.open(Context({"file": file}, read_only=read_only))


class TestDefaults(SubclusterContract):
    pass


class TestSmallest(SubclusterContract):
    options = {"cluster-size": 16384, "refcount-bits": 1}  # noqa: RUF012


class TestPreallocated(SubclusterContract):
    options = {"cluster-size": 16384, "preallocation": "metadata"}  # noqa: RUF012

    def test_released_room_is_used_again(self) -> None:
        """It is not released: it belongs to the guest's clusters."""


def test_runs_of_bits_are_counted() -> None:
    assert bits_between(0, 32) == 0xFFFFFFFF
    assert bits_between(3, 5) == 0b11000
    rng = random.Random(1)
    for _ in range(500):
        bits, first = rng.getrandbits(32) | rng.getrandbits(32), rng.randrange(32)
        assert leading_run(bits, first) == next(n for n in range(40) if not bits >> first + n & 1)


async def new_image(**options: Any) -> tuple[MemoryFile, Engine]:
    file = MemoryFile()
    await Qcow2Driver.create(file, {"size": SIZE, "extended-l2": True, **options})
    return file, Engine(await Qcow2Driver.open(Context({"file": file})))


async def mapped(engine: Engine, offset: int, length: int) -> list[tuple[MappingKind, int]]:
    """Return kind and length of every run in a range."""
    assert isinstance(engine.driver, Qcow2Driver)
    runs = []
    while length:
        mapping = await engine.driver.map(offset, length)
        runs.append((mapping.kind, mapping.length))
        offset, length = offset + mapping.length, length - mapping.length
    return runs


def test_a_small_write_makes_one_subcluster_present() -> None:
    async def run() -> None:
        file, engine = await new_image()
        await engine.write(70000, b"x")
        assert await mapped(engine, 0, SIZE) == [
            (BACKING, 65536), (BACKING, 4096), (DATA, 2048), (BACKING, 59392), (BACKING, SIZE - 131072),
        ]  # fmt: skip
        await engine.driver.flush()
        at = len(file.log)
        await engine.write(80000, b"y" * 512)
        written = [entry[2] for entry in file.log[at:] if entry[0] == "write"]
        assert [len(data) for data in written] == [2048]
        assert (await mapped(engine, 79872, 2048)) == [(DATA, 2048)]
        await engine.driver.close()
        assert judge(file.data) == ([], 0)

    asyncio.run(run())


def test_runs_reach_over_clusters_that_lie_in_line() -> None:
    async def run() -> None:
        _, engine = await new_image(**{"cluster-size": 16384})
        await engine.write(1024, b"x" * (5 * 16384))
        await engine.zero(6 * 16384 + 512, 3 * 16384)
        assert await mapped(engine, 0, SIZE) == [
            (BACKING, 1024),
            (DATA, 5 * 16384),
            (BACKING, 16384 - 1024),
            (BACKING, 512),
            (ZERO, 3 * 16384),
            (BACKING, SIZE - 9 * 16384 - 512),
        ]

    asyncio.run(run())


@pytest.mark.parametrize("extra", [{}, {"cluster_size": "16k"}, {"data_file": "data.raw"}, {"backing": True}])
def test_of_every_part_the_room_is_told_that_qemu_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], extra: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    options, image = dict(extra), tmp_path / "image.qcow2"
    if options.pop("backing", False):
        make_qcow2(tmp_path / "base.qcow2", "3M")
        qemu_io(tmp_path / "base.qcow2", "write -q 1M 1M")
        options |= {"backing_file": "base.qcow2", "backing_fmt": "qcow2"}
    make_qcow2(image, "8M", extended_l2="on", **options)
    rng = random.Random(len(options))
    for _ in range(3):
        commands = []
        for _ in range(20):
            offset, length = (512 * rng.randrange(1, limit) for limit in (8 * 2048 - 300, 300))
            commands.append(f"{rng.choice(('write -q', 'write -q -z', 'discard -q'))} {offset} {length}")
        qemu_io(image, *commands)
        assert run_tool("qmpserver", ["img", "map", "--output=json", str(image)]) == 0
        # Whether a cluster is compressed, QEMU says since version 8.2.
        told, expected = (
            [{**run, "compressed": False} for run in json.loads(text)]
            for text in (capfd.readouterr().out, qemu_img("map", "--output=json", image))
        )
        assert told == expected


def test_parts_of_a_cluster_are_zeroed_and_written_again_in_place() -> None:
    async def run() -> None:
        file, engine = await new_image()
        await engine.write(0, b"x" * 65536)
        await engine.driver.flush()
        size = len(file.data)
        await engine.zero(4096, 8192, may_unmap=True)
        assert await mapped(engine, 0, 65536) == [(DATA, 4096), (ZERO, 8192), (DATA, 53248)]
        await engine.write(6144, b"y" * 2048)
        assert await mapped(engine, 0, 65536) == [
            (DATA, 4096), (ZERO, 2048), (DATA, 2048), (ZERO, 4096), (DATA, 53248),
        ]  # fmt: skip
        await engine.driver.close()
        assert len(file.data) == size
        assert judge(file.data) == ([], 0)

    asyncio.run(run())


def test_part_of_a_compressed_cluster_cannot_be_zeroed_by_metadata() -> None:
    async def run() -> None:
        _, engine = await new_image()
        await engine.write_compressed(65536, b"x" * 65536)
        assert isinstance(engine.driver, Qcow2Driver)
        for offset, length in ((0, 65536 + 2048), (65536 + 2048, 65536)):
            with pytest.raises(OSError, match="not supported"):
                await engine.driver.zero_clusters(offset, length, may_unmap=True)
        await engine.zero(0, 65536 + 2048)
        assert await engine.read(0, 131072) == bytes(67584) + b"x" * 63488

    asyncio.run(run())


def test_the_last_cluster_is_zeroed_when_it_is_compressed_and_the_image_ends_in_it() -> None:
    async def run() -> None:
        file, engine = await new_image(size=65536 + 5120)
        await engine.write_compressed(65536, b"x" * 5120)
        assert isinstance(engine.driver, Qcow2Driver)
        await engine.driver.zero_clusters(65536, 5120, may_unmap=False)
        assert await engine.read(65536, 5120) == bytes(5120)
        await engine.driver.close()
        assert judge(file.data) == ([], 0)

    asyncio.run(run())


class Work:
    """Random requests, done to an image and to a plain model of it."""

    def __init__(self, rng: random.Random, options: dict[str, Any]) -> None:
        self.rng = rng
        self.options = {"size": SIZE, "extended-l2": True, **options}
        self.file = MemoryFile()
        self.backing = MemoryFile(rng.randbytes(SIZE - 70000)) if "backing-file" in options else None
        self.data: MemoryFile | None = None
        if self.options.pop("external", False):
            self.data = self.options["data-file"] = MemoryFile()
        self.model = bytearray(self.backing.data if self.backing else b"").ljust(SIZE, b"\0")
        self.engine: Engine

    async def create(self) -> None:
        await Qcow2Driver.create(self.file, self.options)
        await self.open()

    async def open(self) -> None:
        children: dict[str, BlockChild] = {"file": self.file}
        if self.backing is not None:
            children["backing"] = self.backing
        if self.data is not None:
            children["data-file"] = self.data
        driver = await Qcow2Driver.open(Context(children, discard=self.rng.random() < 0.5))
        self.engine = Engine(driver, self.backing)

    async def step(self) -> None:
        offset = self.rng.randrange(SIZE)
        length = min(self.rng.choice((1, 700, 5000, 70000, 300000)), SIZE - offset)
        chance = self.rng.random()
        if chance < 0.5:
            await self.write(offset, (self.rng.randbytes(64) * (length // 64 + 1))[:length])
        elif chance < 0.6 and self.data is None:
            offset, length = self.engine.whole_clusters(offset, length)
            if length:
                data = (self.rng.randbytes(64) * (length // 64 + 1))[:length]
                await self.engine.write_compressed(offset, data)
                self.model[offset : offset + length] = data
        elif chance < 0.85:
            await self.unmap(*self.engine.whole_parts(offset, length), is_discard=False)
        else:
            await self.unmap(*self.engine.whole_clusters(offset, length), is_discard=True)

    async def write(self, offset: int, data: bytes) -> None:
        await self.engine.write(offset, data)
        self.model[offset : offset + len(data)] = data

    async def unmap(self, offset: int, length: int, *, is_discard: bool) -> None:
        if not length:
            return
        if is_discard:
            await self.engine.discard(offset, length)
        else:
            await self.engine.zero(offset, length, may_unmap=self.rng.random() < 0.5)
        self.model[offset : offset + length] = bytes(length)


IMAGES: list[dict[str, Any]] = [
    {},
    {"cluster-size": 16384, "refcount-bits": 1},
    {"cluster-size": 16384, "backing-file": "base"},
    {"cluster-size": 32768, "backing-file": "base", "preallocation": "metadata"},
    {"cluster-size": 16384, "external": True},
    {"cluster-size": 16384, "external": True, "data-file-raw": True},
    {"cluster-size": 16384, "external": True, "backing-file": "base"},
]


@pytest.mark.parametrize("options", IMAGES, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_random_requests_agree_with_a_plain_model(seed: int, options: dict[str, Any]) -> None:
    async def run() -> None:
        work = Work(random.Random(f"{seed}{options}"), options)
        await work.create()
        for _ in range(5):
            for _ in range(25):
                await work.step()
            assert await work.engine.read(0, SIZE) == work.model
            if options.get("data-file-raw"):
                assert work.data is not None
                assert work.data.data == work.model
            await work.engine.driver.close()
            assert judge(work.file.data) == ([], 0)
            await work.open()

    asyncio.run(run())


@pytest.mark.parametrize("with_backing", [False, True])
@pytest.mark.parametrize(
    ("old", "new"), [(SIZE // 2 + 512, SIZE), (SIZE, SIZE // 2 + 5 * 512), (100 * KiB, 64 * MiB)]
)
def test_the_size_changes(old: int, new: int, with_backing: bool) -> None:
    async def run() -> None:
        rng = random.Random(old)
        backing = MemoryFile(rng.randbytes(SIZE)) if with_backing else None
        named = {"backing-file": "base"} if with_backing else {}
        file = MemoryFile()
        await Qcow2Driver.create(file, {"size": old, "extended-l2": True, "cluster-size": 16384, **named})
        children: dict[str, BlockChild] = {"file": file, **({"backing": backing} if backing else {})}
        driver = await Qcow2Driver.open(Context(children))
        engine = Engine(driver, backing)
        for at in range(old // 16384 - 2, old // 16384 + 1):
            await engine.write(at * 16384 + 512, b"w" * min(1024, old - at * 16384 - 512))
        before = await engine.read(0, old)
        await driver.truncate(new)
        kept = min(old, new)
        assert await engine.read(0, new) == before[:kept].ljust(new, b"\0")
        await driver.truncate(max(old, new) + MiB)
        assert await engine.read(0, max(old, new) + MiB) == before[:kept].ljust(max(old, new) + MiB, b"\0")
        await driver.close()
        assert judge(file.data) == ([], 0)

    asyncio.run(run())


def on_image(path: Path, body: Callable[[Engine], Awaitable[T]], base: bytes | None = None) -> T:
    """Run `body` on the image at `path`, closing it and storing the result there."""
    file = MemoryFile(path.read_bytes())
    backing = MemoryFile(base) if base is not None else None

    async def whole() -> T:
        children: dict[str, BlockChild] = {"file": file, **({"backing": backing} if backing else {})}
        driver = await Qcow2Driver.open(Context(children))
        result = await body(Engine(driver, backing))
        await driver.close()
        return result

    result = asyncio.run(whole())
    path.write_bytes(file.data)
    return result


@pytest.mark.parametrize("with_backing", [False, True])
@pytest.mark.parametrize("cluster_size", [16 * KiB, 64 * KiB, 2 * MiB])
def test_the_driver_and_qemu_write_the_same_image_by_turns(
    tmp_path: Path, cluster_size: int, with_backing: bool
) -> None:
    size = 4 * MiB
    base = random.Random(5).randbytes(size) if with_backing else None
    options: dict[str, Any] = {"extended_l2": "on", "cluster_size": cluster_size}
    if base is not None:
        (tmp_path / "base").write_bytes(base)
        options |= {"backing_file": tmp_path / "base", "backing_fmt": "raw"}
    image = make_qcow2(tmp_path / "image.qcow2", str(size), **options)
    model = bytearray(base or bytes(size))
    rng = random.Random(cluster_size)

    async def scribble(engine: Engine) -> None:
        assert await engine.read(0, size) == model
        for _ in range(15):
            offset = rng.randrange(size // 512) * 512
            length = min(rng.randrange(1, 300) * 512, size - offset)
            await engine.write(offset, b"w" * length)
            model[offset : offset + length] = b"w" * length
            offset, length = engine.whole_parts(offset // 2, 128 * KiB)
            await engine.zero(offset, length, may_unmap=rng.random() < 0.5)
            model[offset : offset + length] = bytes(length)

    for turn in range(3):
        commands = []
        for _ in range(15):
            offset = rng.randrange(size // 512) * 512
            length = min(rng.randrange(1, 300) * 512, size - offset)
            byte = rng.randrange(1, 255)
            zero = rng.random() < 0.3
            commands.append(f"write {'-z' if zero else f'-P {byte}'} {offset} {length}")
            model[offset : offset + length] = bytes([0 if zero else byte]) * length
        qemu_io(image, *commands)
        if turn == 1:
            qemu_img("snapshot", "-c", "kept", image)
            kept = bytes(model)
        on_image(image, scribble, base)
        assert qemu_check(image) == {}
        (tmp_path / "plain").write_bytes(model)
        qemu_img("compare", "-f", "qcow2", "-F", "raw", image, tmp_path / "plain")
    raw = tmp_path / "raw"
    qemu_img("convert", "-l", "kept", "-f", "qcow2", "-O", "raw", image, raw)
    assert raw.read_bytes() == kept


@pytest.mark.parametrize("preallocation", ["off", "metadata"])
@pytest.mark.parametrize("cluster_size", [16 * KiB, 64 * KiB])
def test_qemu_accepts_new_images(tmp_path: Path, cluster_size: int, preallocation: str) -> None:
    options = {"size": 32 * MiB, "extended-l2": True, "cluster-size": cluster_size}

    async def create() -> MemoryFile:
        file = MemoryFile()
        await Qcow2Driver.create(file, {**options, "preallocation": preallocation})
        return file

    image = tmp_path / "image.qcow2"
    image.write_bytes(asyncio.run(create()).data)
    assert qemu_check(image) == {}
    assert '"extended-l2": true' in qemu_img("info", "--output=json", image)
    qemu_io(image, "write -P 17 70000 512", "read -P 0 0 70000")
    assert on_image(image, lambda engine: engine.read(69999, 514)) == b"\0" + b"\x11" * 512 + b"\0"


INVALID = "Invalid cluster entry found  (L2 offset: 0x40000, L2 index: 0)"
CORRUPTIONS = [
    ("read", COPIED | 0x50000, 1 << 32 | 1, INVALID),
    ("read", 0, 1, INVALID),
    (
        "read",
        COPIED | 0x50200,
        1,
        "Cluster allocation offset 0x50200 unaligned (L2 offset: 0x40000, L2 index: 0)",
    ),
    ("write", COPIED | 0x20000, 1, "Preventing invalid write on metadata (overlaps with refcount block)"),
]


@pytest.mark.parametrize(("kind", "entry", "bitmap", "text"), CORRUPTIONS)
def test_an_entry_that_cannot_be_right_is_reported_in_qemus_words(
    kind: str, entry: int, bitmap: int, text: str
) -> None:
    async def run() -> None:
        file, engine = await new_image()
        await engine.write(0, b"x" * 65536)
        await engine.driver.close()
        file.data[0x40000:0x40010] = entry.to_bytes(8, "big") + bitmap.to_bytes(8, "big")
        context = Context({"file": file})
        engine = Engine(await Qcow2Driver.open(context))
        with pytest.raises(CorruptImage):
            await (engine.read(0, 512) if kind == "read" else engine.write(0, b"y" * 512))
        assert [report[0] for report in context.corruption] == [text]

    asyncio.run(run())


def test_random_damage_gives_a_named_error_or_data() -> None:
    async def run() -> None:
        rng = random.Random(3)
        sample, engine = await new_image(**{"cluster-size": 16384})
        await engine.write(0, b"x" * 100000)
        await engine.driver.close()
        l1 = int.from_bytes(sample.data[40:48], "big")
        l2 = int.from_bytes(sample.data[l1 : l1 + 8], "big") & ~COPIED
        for _ in range(200):
            file = MemoryFile(sample.data)
            for _ in range(rng.randrange(1, 4)):
                at = l2 + 8 * rng.randrange(16)
                value = rng.choice(
                    (0, 1, 1 << rng.randrange(64), rng.getrandbits(64), COPIED | rng.randrange(20) * 16384)
                )
                file.data[at : at + 8] = value.to_bytes(8, "big")
            engine = Engine(await Qcow2Driver.open(Context({"file": file})))
            for offset in range(0, 150000, 10000):
                for request in (
                    engine.read(offset, 10000),
                    engine.write(offset, b"w" * 5000),
                    engine.zero(offset // 512 * 512, 5120),
                ):
                    try:
                        await request
                    except OSError:
                        continue

    asyncio.run(run())


@pytest.mark.parametrize("options", [{}, {"external": True}], ids=str)
def test_a_dirty_image_has_its_refcounts_repaired(options: dict[str, Any]) -> None:
    async def run() -> None:
        work = Work(random.Random(8), {"cluster-size": 16384, **options})
        await work.create()
        for _ in range(40):
            await work.step()
        await work.engine.driver.close()
        work.file.data[79] |= 1
        block = 2 * 16384
        work.file.data[block + 20 : block + 16384] = bytes(16384 - 20)
        await work.open()
        assert await work.engine.read(0, SIZE) == work.model
        await work.step()
        await work.engine.driver.close()
        assert judge(work.file.data) == ([], 0)

    asyncio.run(run())
