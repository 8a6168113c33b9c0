"""Images that keep guest data in an external file, raw or not."""

import asyncio
import errno
import json
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.driver import BlockDriver
from qmpserver.drivers.qcow2.driver import Qcow2Driver
from qmpserver.errors import CorruptImage, QMPError
from tests.contract.driver_contract import MappingDriverContract
from tests.contract.engine import Context, Engine, MemoryFile
from tests.contract.power import after_power_cut
from tests.images import judge, make_qcow2, qemu_check, qemu_img, qemu_io

T = TypeVar("T")
KiB, MiB = 1024, 1024 * 1024
SIZE = MiB
COPIED = 1 << 63


class DataFileContract(MappingDriverContract):
    options: dict[str, Any] = {}  # noqa: RUF012 - a subclass replaces it whole
    data: MemoryFile

    async def make(self, file: MemoryFile) -> None:
        self.data = MemoryFile()
        await Qcow2Driver.create(file, {"size": self.size, "data-file": self.data, **self.options})

    async def open(self, file: MemoryFile, *, read_only: bool = False) -> BlockDriver:
        return await Qcow2Driver.open(Context({"file": file, "data-file": self.data}, read_only=read_only))

    def test_the_guests_data_is_at_its_own_offset_in_the_data_file(self) -> None:
        async def body(file: MemoryFile, engine: Engine) -> None:
            await engine.write(0, b"a" * 512)
            await engine.write(self.size - 70000, b"b" * 70000)
            assert self.data.data == b"a" * 512 + bytes(self.size - 70512) + b"b" * 70000

        self.run(body)


class TestDataFile(DataFileContract):
    pass


class TestSmallClusters(DataFileContract):
    options = {"cluster-size": 512, "refcount-bits": 1}  # noqa: RUF012


class TestRawDataFile(DataFileContract):
    options = {"data-file-raw": True, "cluster-size": 4096}  # noqa: RUF012

    def test_released_room_is_used_again(self) -> None:
        """Nothing is unallocated here."""

    def test_unallocated_space_is_one_run(self) -> None:
        """Nothing is unallocated here."""


class Work:
    """Random requests on an image with a data file, done to a plain model too."""

    def __init__(self, rng: random.Random, options: dict[str, Any]) -> None:
        self.rng = rng
        self.options = options
        self.file, self.data = MemoryFile(), MemoryFile()
        self.backing = MemoryFile(rng.randbytes(SIZE - 70000)) if "backing-file" in options else None
        self.model = bytearray(self.backing.data if self.backing else b"").ljust(SIZE, b"\0")
        self.engine: Engine

    async def create(self) -> None:
        await Qcow2Driver.create(self.file, {"size": SIZE, "data-file": self.data, **self.options})
        await self.open()

    async def open(self) -> None:
        children: dict[str, BlockChild] = {"file": self.file, "data-file": self.data}
        if self.backing is not None:
            children["backing"] = self.backing
        driver = await Qcow2Driver.open(Context(children, discard=self.rng.random() < 0.5))
        self.engine = Engine(driver, self.backing)

    async def step(self) -> None:
        offset = self.rng.randrange(SIZE // 512) * 512
        length = min(self.rng.choice((512, 1024, 5120, 70144, 299520)), SIZE - offset)
        if self.rng.random() < 0.6:
            data = (self.rng.randbytes(64) * (length // 64 + 1))[:length]
            await self.engine.write(offset, data)
            self.model[offset : offset + length] = data
            return
        is_zero = self.rng.random() < 0.5
        whole = self.engine.whole_parts if is_zero else self.engine.whole_clusters
        offset, length = whole(offset, length)
        if not length:
            return
        if is_zero:
            await self.engine.zero(offset, length, may_unmap=self.rng.random() < 0.5)
        else:
            await self.engine.discard(offset, length)
        self.model[offset : offset + length] = bytes(length)


IMAGES: list[dict[str, Any]] = [
    {},
    {"cluster-size": 512},
    {"cluster-size": 4096, "backing-file": "base"},
    {"cluster-size": 4096, "data-file-raw": True},
    {"cluster-size": 16384, "extended-l2": True, "backing-file": "base"},
    {"cluster-size": 16384, "extended-l2": True, "data-file-raw": True},
]


@pytest.mark.parametrize("options", IMAGES, ids=str)
def test_random_requests_agree_with_a_plain_model(options: dict[str, Any]) -> None:
    async def run() -> None:
        work = Work(random.Random(str(options)), options)
        await work.create()
        for _ in range(4):
            for _ in range(30):
                await work.step()
            assert await work.engine.read(0, SIZE) == work.model
            if options.get("data-file-raw"):
                assert work.data.data == work.model
            await work.engine.driver.close()
            assert judge(work.file.data) == ([], 0)
            await work.open()

    asyncio.run(run())


class OrderedLog(list[tuple[Any, ...]]):
    """A file's log that also takes part in the order of all files' entries."""

    def __init__(self, order: list["OrderedLog"]) -> None:
        super().__init__()
        self.order = order

    def append(self, entry: tuple[Any, ...]) -> None:
        super().append(entry)
        self.order.append(self)


@pytest.mark.parametrize("options", IMAGES, ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_flushed_data_survives_a_power_cut_of_both_files(seed: int, options: dict[str, Any]) -> None:
    async def run() -> None:
        rng = random.Random(seed)
        work = Work(rng, options)
        await work.create()
        order: list[OrderedLog] = []
        work.file.log, work.data.log = OrderedLog(order), OrderedLog(order)
        start = bytes(work.file.data), bytes(work.data.data)
        for _ in range(25):
            await work.step()
        await work.engine.driver.flush()
        history, certain = [bytes(work.model)], len(order)
        for _ in range(10):
            await work.step()
            history.append(bytes(work.model))
        for _ in range(15):
            cut = rng.randrange(certain, len(order) + 1)
            left = [
                after_power_cut(begun, file.log, sum(log is file.log for log in order[:cut]), rng)
                for begun, file in zip(start, (work.file, work.data), strict=True)
            ]
            assert not judge(left[0]).corruptions
            children = {"file": MemoryFile(left[0]), "data-file": MemoryFile(left[1])}
            driver = await Qcow2Driver.open(Context(children, read_only=True))
            got = await Engine(driver, work.backing).read(0, SIZE)
            for at in range(0, SIZE, 512):
                assert got[at : at + 512] in {state[at : at + 512] for state in history}, (cut, at)

    asyncio.run(run())


def on_files(
    folder: Path,
    body: Callable[[Engine], Awaitable[T]],
    *,
    backing: bytes | None = None,
    name: str = "data.raw",
) -> T:
    """Run `body` on ``image.qcow2`` in a folder, whose header names its data file, and store the result."""
    file = MemoryFile((folder / "image.qcow2").read_bytes())
    data = MemoryFile((folder / name).read_bytes())
    base = MemoryFile(backing) if backing is not None else None

    async def whole() -> T:
        children: dict[str, BlockChild] = {"file": file}
        if base is not None:
            children["backing"] = base
        driver = await Qcow2Driver.open(Context(children, named={str(folder / name): data}))
        result = await body(Engine(driver, base))
        await driver.close()
        return result

    result = asyncio.run(whole())
    (folder / "image.qcow2").write_bytes(file.data)
    (folder / name).write_bytes(data.data)
    return result


@pytest.mark.parametrize("raw", ["off", "on"])
@pytest.mark.parametrize("cluster_size", [512, 65536, 2 * MiB])
def test_the_driver_and_qemu_write_the_same_image_by_turns(
    tmp_path: Path, cluster_size: int, raw: str
) -> None:
    image = make_qcow2(
        tmp_path / "image.qcow2", str(4 * MiB), cluster_size=cluster_size,
        data_file=tmp_path / "data.raw", data_file_raw=raw,
    )  # fmt: skip
    qemu_io(image, "write -P 17 0 1M", "write -z 200k 300k", "discard 2M 1M", "write -P 51 300k 1k")
    model = bytearray(b"\x11" * MiB).ljust(4 * MiB, b"\0")
    model[200 * KiB : 500 * KiB] = bytes(300 * KiB)
    model[300 * KiB : 301 * KiB] = b"3" * KiB

    async def scribble(engine: Engine) -> None:
        assert await engine.read(0, 4 * MiB) == model
        rng = random.Random(cluster_size)
        for _ in range(20):
            offset, length = rng.randrange(7000) * 512, rng.randrange(1, 1000) * 512
            await engine.write(offset, b"w" * length)
            model[offset : offset + length] = b"w" * length
            offset, length = engine.whole_clusters(rng.randrange(7900) * 512, 128 * KiB)
            if length > 0:
                await engine.zero(offset, length, may_unmap=rng.random() < 0.5)
                model[offset : offset + length] = bytes(length)

    on_files(tmp_path, scribble)
    assert qemu_check(image) == {}
    (tmp_path / "plain").write_bytes(model)
    qemu_img("compare", "-f", "qcow2", "-F", "raw", image, tmp_path / "plain")
    if raw == "on":
        assert (tmp_path / "data.raw").read_bytes() == model


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("preallocation", ["off", "metadata"])
def test_qemu_accepts_new_images(tmp_path: Path, preallocation: str, raw: bool) -> None:
    data = MemoryFile()
    data.filename = str(tmp_path / "data.raw")

    async def create() -> MemoryFile:
        file = MemoryFile()
        options = {"size": SIZE, "preallocation": preallocation, "data-file": data, "data-file-raw": raw}
        await Qcow2Driver.create(file, options)
        return file

    image = tmp_path / "image.qcow2"
    image.write_bytes(asyncio.run(create()).data)
    (tmp_path / "data.raw").write_bytes(data.data)
    assert qemu_check(image) == {}
    info = json.loads(qemu_img("info", "--output=json", image))["format-specific"]["data"]
    assert (info["data-file"], info["data-file-raw"]) == (data.filename, raw)
    qemu_io(image, "write -P 17 64k 128k")
    expected = bytes(64 * KiB) + b"\x11" * (128 * KiB)
    assert on_files(tmp_path, lambda engine: engine.read(0, 192 * KiB)) == expected


async def sample(**options: Any) -> tuple[MemoryFile, MemoryFile]:
    file, data = MemoryFile(), MemoryFile()
    await Qcow2Driver.create(file, {"size": SIZE, "data-file": data, **options})
    driver = await Qcow2Driver.open(Context({"file": file, "data-file": data}))
    await Engine(driver).write(0, b"x" * (256 * KiB))
    await driver.close()
    return file, data


REFUSED: list[tuple[bool, dict[str, BlockChild], dict[str, BlockChild], str]] = [
    (
        True,
        {"data-file": MemoryFile()},
        {},
        "'data-file' can only be set for images with an external data file",
    ),
    (False, {}, {}, "Could not open 'file': No such file or directory"),
]


@pytest.mark.parametrize(("plain", "children", "named", "text"), REFUSED)
def test_a_missing_or_needless_data_file_is_refused_in_qemus_words(
    plain: bool, children: dict[str, BlockChild], named: dict[str, BlockChild], text: str
) -> None:
    async def run() -> None:
        file, _ = await sample()
        if plain:
            await Qcow2Driver.create(file, {"size": SIZE})
        with pytest.raises(QMPError) as caught:
            await Qcow2Driver.open(Context({"file": file, **children}, named=named))
        assert caught.value.description == text

    asyncio.run(run())


def test_an_image_that_names_no_data_file_needs_one_from_the_client() -> None:
    async def run() -> None:
        file, data = await sample()
        at = file.data.index(b"DATA")
        file.data[at : at + 4] = b"None"
        with pytest.raises(QMPError, match=r"^'data-file' is required for this image$"):
            await Qcow2Driver.open(Context({"file": file}))
        driver = await Qcow2Driver.open(Context({"file": file, "data-file": data}))
        info = driver.image_info()["format-specific"]["data"]
        assert (info.get("data-file"), info["data-file-raw"]) == (None, False)
        assert await Engine(driver).read(0, 512) == b"x" * 512

    asyncio.run(run())


CORRUPTIONS = [
    (
        COPIED | 0x30000,
        "External data file host cluster offset 0x30000 does not match guest cluster offset: 0x10000, L2 index: 0x1)",
    ),
    (COPIED | 0x10200, "Cluster allocation offset 0x10200 unaligned (L2 offset: 0x40000, L2 index: 0x1)"),
    (
        1 << 62 | 0x10000,
        "Compressed cluster entry found in image with external data file (L2 offset: 0x40000, L2 index: 0x1)",
    ),
]


@pytest.mark.parametrize(("entry", "text"), CORRUPTIONS)
def test_an_entry_that_cannot_be_right_is_reported_in_qemus_words(entry: int, text: str) -> None:
    async def run() -> None:
        file, data = await sample()
        file.data[0x40008:0x40010] = entry.to_bytes(8, "big")
        context = Context({"file": file, "data-file": data})
        driver = await Qcow2Driver.open(context)
        with pytest.raises(CorruptImage):
            await Engine(driver).read(64 * KiB, 512)
        assert [report[0] for report in context.corruption] == [text]

    asyncio.run(run())


def test_nothing_is_stored_compressed_in_a_data_file() -> None:
    async def run() -> None:
        file, data = await sample()
        driver = await Qcow2Driver.open(Context({"file": file, "data-file": data}))
        with pytest.raises(OSError, match="not supported") as caught:
            await driver.write_compressed(0, memoryview(b"x" * 65536))
        assert caught.value.errno == errno.ENOTSUP

    asyncio.run(run())


@pytest.mark.parametrize("options", [{}, {"data-file-raw": True}], ids=str)
def test_the_data_file_is_resized_with_the_image(options: dict[str, Any]) -> None:
    async def run() -> None:
        file, data = await sample(**options)
        driver = await Qcow2Driver.open(Context({"file": file, "data-file": data}))
        for size in (2 * MiB, 128 * KiB + 512, MiB):
            await driver.truncate(size)
            assert data.size == size
        kept = 128 * KiB + 512
        assert await Engine(driver).read(0, MiB) == b"x" * kept + bytes(MiB - kept)
        await driver.close()
        assert judge(file.data) == ([], 0)

    asyncio.run(run())


class WatchedFile(MemoryFile):
    """A data file that notes what another file held whenever a hole was punched here."""

    watched: MemoryFile

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[bytes] = []

    async def pwrite_zeroes(self, offset: int, length: int, flags: int = 0) -> None:
        self.seen.append(bytes(self.watched.data))
        await super().pwrite_zeroes(offset, length, flags)


def test_the_data_file_is_punched_only_where_the_backing_file_shows_already() -> None:
    async def run() -> None:
        file, data, backing = MemoryFile(), WatchedFile(), MemoryFile(b"b" * SIZE)
        data.watched = file
        await Qcow2Driver.create(file, {"size": SIZE, "data-file": data, "backing-file": "base"})
        children: dict[str, BlockChild] = {"file": file, "data-file": data, "backing": backing}
        driver = await Qcow2Driver.open(Context(children, discard=True))
        await Engine(driver, backing).write(0, b"x" * (256 * KiB))
        await driver.flush()
        data.seen.clear()
        await driver.make_empty()
        assert data.data[: 256 * KiB] == bytes(256 * KiB)
        assert data.seen
        for left in data.seen:
            shown: dict[str, BlockChild] = {**children, "file": MemoryFile(left)}
            found = Engine(await Qcow2Driver.open(Context(shown, read_only=True)), backing)
            assert await found.read(0, SIZE) == backing.data

    asyncio.run(run())
