"""The qcow2 driver as the engine sees it, over versions, cluster sizes and refcount widths."""

import asyncio
import random
from typing import Any

import pytest

from qmpserver.driver_api.driver import BlockDriver
from qmpserver.driver_api.extras import SupportsBackingFile, SupportsCreate, SupportsMakeEmpty, SupportsReopen
from qmpserver.driver_api.mapping import MappingKind
from qmpserver.drivers.qcow2 import commit
from qmpserver.drivers.qcow2.driver import Qcow2Driver
from qmpserver.errors import QMPError
from tests.contract.driver_contract import MappingDriverContract
from tests.contract.engine import Context, Engine, MemoryFile
from tests.images import judge


class Qcow2Contract(MappingDriverContract):
    options: dict[str, Any] = {}  # noqa: RUF012 - a subclass replaces it whole

    async def make(self, file: MemoryFile) -> None:
        await Qcow2Driver.create(file, {"size": self.size, **self.options})

    async def open(self, file: MemoryFile, *, read_only: bool = False) -> BlockDriver:
        return await Qcow2Driver.open(Context({"file": file}, read_only=read_only))


class TestDefaults(Qcow2Contract):
    pass


class TestVersion2(Qcow2Contract):
    options = {"version": "v2"}  # noqa: RUF012


class TestSmallestClusters(Qcow2Contract):
    options = {"cluster-size": 512, "refcount-bits": 64}  # noqa: RUF012


class TestNarrowestRefcounts(Qcow2Contract):
    options = {"cluster-size": 4096, "refcount-bits": 1}  # noqa: RUF012


class TestVersion2SmallClusters(Qcow2Contract):
    options = {"version": "v2", "cluster-size": 1024}  # noqa: RUF012


class TestLargestClusters(Qcow2Contract):
    size = 16 << 20
    options = {"cluster-size": 2 << 20, "refcount-bits": 8}  # noqa: RUF012


def test_the_driver_offers_creation_reopening_and_a_backing_file() -> None:
    async def run() -> None:
        file = MemoryFile()
        await Qcow2Driver.create(file, {"size": 1 << 20})
        driver = await Qcow2Driver.open(Context({"file": file}))
        for protocol in (SupportsCreate, SupportsReopen, SupportsBackingFile, SupportsMakeEmpty):
            assert isinstance(driver, protocol)

    asyncio.run(run())


@pytest.mark.parametrize("with_backing", [False, True])
@pytest.mark.parametrize("cluster_size", [512, 4096, 65536])
@pytest.mark.parametrize(("version", "width"), [("v2", 16), ("v3", 1), ("v3", 4), ("v3", 32), ("v3", 64)])
def test_random_requests_agree_with_a_plain_model(
    version: str, width: int, cluster_size: int, with_backing: bool
) -> None:
    async def run() -> None:
        rng = random.Random(f"{version}{width}{cluster_size}{with_backing}")
        work = await RandomRequests.make(rng, version, width, cluster_size, with_backing)
        for _ in range(120):
            await work.step()
        await work.finish()

    asyncio.run(run())


class RandomRequests:
    """Random requests, done to an image and to a plain model of it."""

    size = 1 << 20

    def __init__(self, rng: random.Random, file: MemoryFile, backing: MemoryFile | None) -> None:
        self.rng = rng
        self.file = file
        self.backing = backing
        self.model = bytearray(self.size)
        if backing is not None:
            self.model[: backing.size] = backing.data
        self.engine: Engine

    @classmethod
    async def make(
        cls, rng: random.Random, version: str, width: int, cluster_size: int, with_backing: bool
    ) -> "RandomRequests":
        options = {"size": cls.size, "version": version, "refcount-bits": width, "cluster-size": cluster_size}
        backing = MemoryFile(rng.randbytes(cls.size - 70000)) if with_backing else None
        file = MemoryFile()
        await Qcow2Driver.create(file, {**options, **({"backing-file": "base"} if backing else {})})
        made = cls(rng, file, backing)
        await made.open()
        return made

    async def open(self) -> None:
        children = {"file": self.file, **({"backing": self.backing} if self.backing else {})}
        driver = await Qcow2Driver.open(Context(children, discard=self.rng.random() < 0.5))
        self.engine = Engine(driver, self.backing)

    def span(self) -> tuple[int, int]:
        offset = self.rng.randrange(self.size)
        return offset, min(self.rng.choice((1, 700, 5000, 70000, 300000)), self.size - offset)

    async def step(self) -> None:
        chance = self.rng.random()
        offset, length = self.span()
        if chance < 0.5:
            data = self.rng.randbytes(64) * (length // 64 + 1)
            await self.engine.write(offset, data[:length])
            self.model[offset : offset + length] = data[:length]
        elif chance < 0.7:
            await self.unmap(offset, length, is_discard=chance < 0.6)
        elif chance < 0.8:
            await self.engine.driver.flush()
        elif chance < 0.85:
            await self.finish()
            await self.open()
        else:
            assert await self.engine.read(offset, length) == self.model[offset : offset + length]

    async def unmap(self, offset: int, length: int, *, is_discard: bool) -> None:
        start, whole = self.engine.whole_clusters(offset, length)
        if not whole:
            return
        if not is_discard:
            await self.engine.zero(start, whole, may_unmap=self.rng.random() < 0.5)
        elif not await self.engine.discard(start, whole):
            return
        self.model[start : start + whole] = bytes(whole)

    async def finish(self) -> None:
        assert await self.engine.read(0, self.size) == self.model
        await self.engine.driver.close()
        verdict = judge(self.file.data)
        assert not verdict.corruptions
        assert not verdict.leaks


def test_an_image_opened_for_writing_loses_the_autoclear_bits_it_does_not_keep() -> None:
    async def run() -> None:
        file = MemoryFile()
        await Qcow2Driver.create(file, {"size": 1 << 20})
        file.data[88:96] = (1 << 5).to_bytes(8, "big")
        await Qcow2Driver.open(Context({"file": file}, read_only=True))
        assert file.data[95] == 1 << 5
        await Qcow2Driver.open(Context({"file": file}))
        assert file.data[88:96] == bytes(8)

    asyncio.run(run())


def test_a_dirty_image_has_its_refcounts_repaired_when_opened_for_writing() -> None:
    async def run() -> None:
        file = MemoryFile()
        await Qcow2Driver.create(file, {"size": 1 << 20, "cluster-size": 4096, "lazy-refcounts": True})
        engine = Engine(await Qcow2Driver.open(Context({"file": file})))
        data = random.Random(1).randbytes(1 << 20)
        await engine.write(0, data)
        await engine.driver.close()
        file.data[2 * 4096 + 20 : 3 * 4096] = bytes(4096 - 20)
        file.data[79] |= 1
        assert judge(file.data).corruptions
        reader = await Qcow2Driver.open(Context({"file": file}, read_only=True))
        assert reader.image_info()["dirty-flag"] is True
        assert await Engine(reader).read(0, 1 << 20) == data
        driver = await Qcow2Driver.open(Context({"file": file}))
        assert driver.image_info()["dirty-flag"] is False
        assert await Engine(driver).read(0, 1 << 20) == data
        assert judge(file.data) == ([], 0)

    asyncio.run(run())


def test_a_dirty_image_without_refcount_blocks_gets_them_past_its_end() -> None:
    async def run() -> None:
        file = MemoryFile()
        await Qcow2Driver.create(file, {"size": 1 << 20, "cluster-size": 512, "refcount-bits": 64})
        engine = Engine(await Qcow2Driver.open(Context({"file": file})))
        data = random.Random(1).randbytes(300000)
        await engine.write(0, data)
        await engine.driver.close()
        table = int.from_bytes(file.data[48:56], "big")
        file.data[table : table + 512] = bytes(512)
        file.data[79] |= 1
        driver = await Qcow2Driver.open(Context({"file": file}))
        assert await Engine(driver).read(0, 300000) == data
        assert judge(file.data) == ([], 0)
        await Engine(driver).write(400000, data)
        await driver.close()
        assert await Engine(await Qcow2Driver.open(Context({"file": file}))).read(0, 300000) == data
        assert judge(file.data) == ([], 0)

    asyncio.run(run())


def test_reopening_read_only_writes_back_and_read_write_writes_again() -> None:
    async def run() -> None:
        file = MemoryFile()
        await Qcow2Driver.create(file, {"size": 1 << 20})
        driver = await Qcow2Driver.open(Context({"file": file}))
        await Engine(driver).write(0, b"x" * 512)
        await driver.prepare_reopen(read_only=True, options={})
        await driver.commit_reopen()
        assert not (await driver.map(0, 512)).in_place
        assert judge(file.data) == ([], 0)
        await driver.prepare_reopen(read_only=False, options={})
        await driver.abort_reopen()
        await driver.prepare_reopen(read_only=False, options={})
        await driver.commit_reopen()
        assert (await driver.map(0, 512)).in_place
        await Engine(driver).write(1 << 19, b"y" * 512)
        await driver.close()
        assert judge(file.data) == ([], 0)

    asyncio.run(run())


def test_unallocated_runs_reach_over_many_l2_tables() -> None:
    async def run() -> None:
        file = MemoryFile()
        size = 40 << 30
        await Qcow2Driver.create(file, {"size": size, "cluster-size": 65536})
        driver = await Qcow2Driver.open(Context({"file": file}))
        await Engine(driver).write(20 << 30, b"x" * 512)
        assert (await driver.map(0, size)).length == 20 << 30
        await driver.flush()
        assert (await driver.map(5 << 29, size - (5 << 29))).length == (20 << 30) - (5 << 29)
        rest = (20 << 30) + 65536
        assert await driver.map(rest, size - rest) == (MappingKind.BACKING, size - rest, None, 0, False)

    asyncio.run(run())


def test_a_longer_backing_file_does_not_show_through_when_the_image_grows() -> None:
    async def run() -> None:
        base, file = MemoryFile(b"b" * (1 << 20)), MemoryFile()
        await Qcow2Driver.create(
            file,
            {"size": (1 << 19) + 512, "cluster-size": 4096, "backing-file": "base", "backing-fmt": "raw"},
        )
        driver = await Qcow2Driver.open(Context({"file": file, "backing": base}))
        await driver.truncate(1 << 20)
        kept = (1 << 19) + 512
        assert await Engine(driver, base).read(0, 1 << 20) == b"b" * kept + bytes((1 << 20) - kept)
        await driver.close()
        assert judge(file.data) == ([], 0)

    asyncio.run(run())


def test_a_size_that_is_no_multiple_of_512_is_refused_by_name() -> None:
    async def run() -> None:
        file = MemoryFile()
        await Qcow2Driver.create(file, {"size": 1 << 20})
        driver = await Qcow2Driver.open(Context({"file": file}))
        with pytest.raises(QMPError, match=r"^The new size must be a multiple of 512$"):
            await driver.truncate(1000)

    asyncio.run(run())


def test_the_image_says_what_it_is() -> None:
    async def run(options: dict[str, Any]) -> dict[str, Any]:
        file = MemoryFile()
        await Qcow2Driver.create(file, {"size": 1 << 20, **options})
        return (await Qcow2Driver.open(Context({"file": file}))).image_info()

    assert asyncio.run(run({"lazy-refcounts": True, "refcount-bits": 8})) == {
        "cluster-size": 65536,
        "dirty-flag": False,
        "format-specific": {
            "type": "qcow2",
            "data": {
                "compat": "1.1",
                "compression-type": "zlib",
                "lazy-refcounts": True,
                "refcount-bits": 8,
                "corrupt": False,
                "extended-l2": False,
            },
        },
    }
    assert asyncio.run(run({"version": "v2"}))["format-specific"]["data"] == {
        "compat": "0.10",
        "compression-type": "zlib",
        "refcount-bits": 16,
    }


def test_a_long_discard_frees_as_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        file = MemoryFile()
        await Qcow2Driver.create(file, {"size": 1 << 20, "cluster-size": 512})
        engine = Engine(await Qcow2Driver.open(Context({"file": file})))
        for offset in range(0, 1 << 20, 2048):
            await engine.write(offset, b"x" * 512)
        await engine.driver.flush()
        file.log.clear()
        await engine.discard(0, 1 << 20)
        assert sum(entry[0] == "flush" for entry in file.log) > 10
        await engine.driver.close()
        assert judge(file.data) == ([], 0)
        assert await Engine(await Qcow2Driver.open(Context({"file": file}))).read(0, 1 << 20) == bytes(
            1 << 20
        )

    monkeypatch.setattr(commit, "MOST_WAITING", 0)
    asyncio.run(run())


def test_freed_clusters_are_used_again() -> None:
    async def run() -> None:
        file = MemoryFile()
        await Qcow2Driver.create(file, {"size": 1 << 20, "cluster-size": 4096})
        engine = Engine(await Qcow2Driver.open(Context({"file": file})))
        sizes = []
        for _ in range(4):
            await engine.write(0, b"x" * (1 << 20))
            await engine.discard(0, 1 << 20)
            await engine.driver.flush()
            sizes.append(len(file.data))
        assert len(set(sizes)) == 1

    asyncio.run(run())


@pytest.mark.parametrize("options", [{}, {"version": "v2"}, {"extended-l2": True}], ids=str)
def test_an_image_made_empty_shows_its_backing_file_again(options: dict[str, Any]) -> None:
    async def run() -> None:
        base, file = MemoryFile(b"b" * (1 << 20)), MemoryFile()
        await Qcow2Driver.create(file, {"size": 1 << 20, "backing-file": "base", **options})
        driver = await Qcow2Driver.open(Context({"file": file, "backing": base}))
        engine = Engine(driver, base)
        await engine.write(1000, b"x" * 300000)
        await engine.write_compressed(1 << 19, b"c" * 65536)
        await driver.make_empty()
        assert await driver.map(0, 1 << 20) == (MappingKind.BACKING, 1 << 20, None, 0, False)
        assert await engine.read(0, 1 << 20) == base.data
        await driver.close()
        assert judge(file.data) == ([], 0)

    asyncio.run(run())
