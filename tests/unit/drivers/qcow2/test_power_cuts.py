"""Whatever is flushed survives a power cut at any instant, and the image leaks clusters at most."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from qmpserver.driver_api.child import BlockChild
from qmpserver.drivers.qcow2 import refcounts, tables
from qmpserver.drivers.qcow2.driver import Qcow2Driver
from tests.contract.engine import Context, Engine, MemoryFile
from tests.contract.power import SECTOR, after_power_cut
from tests.images import judge, make_qcow2, qemu_check, qemu_img, qemu_io

KiB, MiB = 1024, 1024 * 1024
SIZE = 256 * KiB


class Model:
    """What each sector may read as: what was flushed last, and whatever was written since."""

    def __init__(self, guest: bytes) -> None:
        sectors = [guest[at : at + SECTOR] for at in range(0, len(guest), SECTOR)]
        self.changes: list[tuple[int, int, bytes]] = []
        """For each sector written: the length of the file's log before, the sector, its new content."""
        self.states: list[tuple[int, int, list[bytes]]] = [(0, 0, sectors)]
        """For each flush: the length of the log when it was done, the changes it covers, every sector."""

    def change(self, log_length: int, offset: int, data: bytes) -> None:
        """Note a write that is about to begin."""
        for start in range(0, len(data), SECTOR):
            self.changes.append((log_length, (offset + start) // SECTOR, data[start : start + SECTOR]))

    def flushed(self, covered: int, log_length: int) -> None:
        """Note that the first `covered` changes are certain from this log length on."""
        _, done, sectors = self.states[-1]
        sectors = list(sectors)
        for _, sector, value in self.changes[done:covered]:
            sectors[sector] = value
        self.states.append((log_length, covered, sectors))

    def allowed(self, cut: int) -> list[set[bytes]]:
        """Return what each sector may read as when the power goes after `cut` log entries."""
        _, covered, sectors = [state for state in self.states if state[0] <= cut][-1]
        allowed = [{value} for value in sectors]
        for log_length, sector, value in self.changes[covered:]:
            if log_length <= cut:
                allowed[sector].add(value)
        return allowed


class Workload:
    """Random guest requests on one image, and what may be read after a power cut."""

    def __init__(self, file: MemoryFile, backing: MemoryFile | None, guest: bytes, seed: int) -> None:
        self.rng = random.Random(seed)
        self.file, self.backing = file, backing
        self.size = len(guest)
        self.model = Model(guest)
        self.start = bytes(file.data)
        self.runtime: dict[str, Any] = {}
        """The options that the image is opened with."""

    async def run(self, requests: int) -> None:
        children: dict[str, BlockChild] = {"file": self.file}
        if self.backing is not None:
            children["backing"] = self.backing
        engine = await self._open(children)
        for _ in range(requests):
            await self._request(engine)
            if self.rng.random() < 0.05:
                await self.flush(engine.driver.close)
                engine = await self._open(children)
        await self.flush(engine.driver.close)

    async def _open(self, children: dict[str, BlockChild]) -> Engine:
        context = Context(children, discard=self.rng.random() < 0.5, options=self.runtime)
        return Engine(await Qcow2Driver.open(context), self.backing)

    async def _request(self, engine: Engine) -> None:
        chance = self.rng.random()
        if chance < 0.2:
            await self.flush(engine.driver.flush)
        elif chance < 0.4:
            await self._many_writes(engine)
        elif chance < 0.75:
            offset, length = self._range(self.size // 8)
            await self._write_somehow(engine, offset, self.pattern(length))
        else:
            await self._unmap(engine, chance < 0.87)

    def _range(self, most: int) -> tuple[int, int]:
        offset = self.rng.randrange(self.size // SECTOR) * SECTOR
        return offset, min(self.rng.randrange(SECTOR, most, SECTOR), self.size - offset)

    def pattern(self, length: int) -> bytes:
        return b"".join(bytes([self.rng.randrange(1, 256)]) * SECTOR for _ in range(length // SECTOR))

    async def write(self, engine: Engine, offset: int, data: bytes) -> None:
        self.model.change(len(self.file.log), offset, data)
        await engine.write(offset, data)

    async def _write_somehow(self, engine: Engine, offset: int, data: bytes) -> None:
        start, length = engine.whole_clusters(offset, len(data))
        if not length or self.rng.random() < 0.6:
            await self.write(engine, offset, data)
            return
        data = data[start - offset : start - offset + length]
        self.model.change(len(self.file.log), start, data)
        await engine.write_compressed(start, data)

    async def _many_writes(self, engine: Engine) -> None:
        area = self.size // 8
        starts = [part * area + self.rng.randrange(area // SECTOR // 2) * SECTOR for part in range(8)]
        writes = [
            self.write(engine, start, self.pattern(self.rng.randrange(1, 9) * SECTOR)) for start in starts
        ]
        await asyncio.gather(*writes, engine.driver.flush())

    async def _unmap(self, engine: Engine, is_discard: bool) -> None:
        whole = engine.whole_clusters if is_discard else engine.whole_parts
        offset, length = whole(*self._range(self.size // 4))
        if length <= 0:
            return
        self.model.change(len(self.file.log), offset, bytes(length))
        if not is_discard:
            await engine.zero(offset, length, may_unmap=self.rng.random() < 0.5)
        elif not await engine.discard(offset, length):
            await engine.write(offset, bytes(length))

    async def flush(self, flush: Callable[[], Awaitable[None]]) -> None:
        covered = len(self.model.changes)
        await flush()
        self.model.flushed(covered, len(self.file.log))


async def read_all(data: bytes | bytearray, backing: MemoryFile | None) -> bytes:
    """Read an image through the driver, opened read-only."""
    driver = await Qcow2Driver.open(Context({"file": MemoryFile(data)}, read_only=True))
    named = backing if driver.backing_filename else None
    return await Engine(driver, named).read(0, driver.size)


def pick_cut(log: list[tuple[Any, ...]], rng: random.Random) -> int:
    """Choose an instant, half the time one just before a flush, when most is at stake."""
    cut = rng.randrange(1, len(log) + 1)
    if rng.random() < 0.5:
        cut = next((place for place in range(cut, len(log)) if log[place][0] == "flush"), cut)
    return cut


async def check_cut(work: Workload, rng: random.Random, cut: int | None = None) -> bytearray:
    """Cut the power after `cut` log entries, or at some instant, and judge what is left."""
    cut = pick_cut(work.file.log, rng) if cut is None else cut
    left = after_power_cut(work.start, work.file.log, cut, rng)
    verdict = judge(left)
    assert not verdict.corruptions, (cut, verdict)
    got = await read_all(left, work.backing)
    allowed = work.model.allowed(cut)
    wrong = [n for n, values in enumerate(allowed) if got[n * SECTOR : (n + 1) * SECTOR] not in values]
    assert not wrong, (cut, wrong)
    return left


async def campaign(seed: int, options: dict[str, Any], cuts: int) -> list[bytearray]:
    """Run one random workload on a new image and cut the power `cuts` times.

    Args:
        seed: What the workload and the cuts are made from.
        options: How to create the image.
        cuts: How many states to judge.

    Returns:
        The states, each of which was found to be sound.
    """
    rng = random.Random(seed)
    options = {"size": SIZE, **options}
    size = options["size"]
    backing = MemoryFile(rng.randbytes(size - size // 4)) if "backing-file" in options else None
    guest = bytes(backing.data).ljust(size, b"\0") if backing is not None else bytes(size)
    file = MemoryFile()
    await Qcow2Driver.create(file, options)
    file.log.clear()
    file.yields = rng.random() < 0.7
    work = Workload(file, backing, guest, seed)
    work.runtime = RUNTIME[seed % len(RUNTIME)] if options.get("version") != "v2" else {}
    await work.run(40)
    return [await check_cut(work, rng) for _ in range(cuts)]


RUNTIME: list[dict[str, Any]] = [
    {},
    {"discard-no-unref": True},
    {"pass-discard-other": True, "l2-cache-size": 0, "refcount-cache-size": 0},
]
"""The options of workloads, by turns."""

IMAGES: list[dict[str, Any]] = [
    {"cluster-size": 512},
    {"cluster-size": 512, "refcount-bits": 64},
    {"cluster-size": 512, "refcount-bits": 64, "size": 3 * MiB},
    {"cluster-size": 512, "version": "v2", "backing-file": "base"},
    {"cluster-size": 1024, "refcount-bits": 1, "backing-file": "base"},
    {"cluster-size": 4096, "backing-file": "base", "backing-fmt": "raw"},
    {"cluster-size": 4096, "refcount-bits": 8, "preallocation": "metadata"},
    {"cluster-size": 65536, "version": "v2"},
    {"cluster-size": 16384, "extended-l2": True},
    {"cluster-size": 16384, "extended-l2": True, "backing-file": "base", "preallocation": "metadata"},
]


@pytest.mark.parametrize("options", IMAGES, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_flushed_data_survives_a_power_cut_at_any_instant(seed: int, options: dict[str, Any]) -> None:
    asyncio.run(campaign(seed, options, cuts=12))


@pytest.mark.parametrize("options", IMAGES[:5], ids=str)
def test_it_survives_with_the_smallest_caches_too(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    monkeypatch.setattr(tables, "CACHE_BYTES", 0)
    monkeypatch.setattr(refcounts, "CACHE_BYTES", 0)
    asyncio.run(campaign(50, {**options, "size": MiB}, cuts=20))


@pytest.mark.parametrize("options", IMAGES, ids=str)
def test_qemu_finds_leaks_at_most_after_a_power_cut(tmp_path: Path, options: dict[str, Any]) -> None:
    (tmp_path / "base").write_bytes(bytes(SIZE))
    image = tmp_path / "image.qcow2"
    for state in asyncio.run(campaign(100, options, cuts=6)):
        image.write_bytes(state)
        found = qemu_check(image)
        assert "corruptions" not in found
        assert "check-errors" not in found


def test_the_refcount_table_outgrows_its_place_without_losing_anything() -> None:
    async def run() -> None:
        rng = random.Random(1)
        file = MemoryFile()
        await Qcow2Driver.create(file, {"size": 6 * MiB, "cluster-size": 512, "refcount-bits": 64})
        file.log.clear()
        work = Workload(file, None, bytes(6 * MiB), 1)
        driver = await Qcow2Driver.open(Context({"file": file}))
        for start in range(0, 6 * MiB, 512 * KiB):
            await work.write(Engine(driver), start, work.pattern(512 * KiB))
            await work.flush(driver.flush)
        moves = [place for place, entry in enumerate(file.log) if entry[0] == "write" and entry[1] == 0]
        assert moves
        for move in moves:
            for cut in range(move - 1, move + 4):
                await check_cut(work, rng, cut)

    asyncio.run(run())


def test_the_backing_file_changes_in_one_step() -> None:
    """As a stream job ends: everything is copied up, and then the image names no backing file."""

    async def run(name: str, seed: int, options: dict[str, Any]) -> None:
        rng = random.Random(seed)
        base = MemoryFile(rng.randbytes(SIZE))
        file = MemoryFile()
        await Qcow2Driver.create(
            file, {"size": SIZE, "backing-file": "base", "backing-fmt": "raw", **options}
        )
        file.log.clear()
        work = Workload(file, base, bytes(base.data), seed)
        driver = await Qcow2Driver.open(Context({"file": file, "backing": base}))
        await Engine(driver, base).write(0, bytes(base.data))
        await driver.change_backing_file(name or None, "raw" if name else None)
        for cut in range(1, len(file.log) + 1):
            left = await check_cut(work, rng, cut)
            reopened = await Qcow2Driver.open(Context({"file": MemoryFile(left)}, read_only=True))
            assert (reopened.backing_filename, reopened.backing_format) in {
                ("base", "raw"),
                (name or None, "raw" if name else None),
            }

    for seed in range(4):
        for name in ("", "other", "/long" * 150):
            for options in ({}, {"cluster-size": 4096}, {"cluster-size": 2048, "version": "v2"}):
                asyncio.run(run(name, seed, options))


@pytest.mark.parametrize(
    "options", [{"cluster-size": 512}, {"cluster-size": 1024, "refcount-bits": 64}, {}], ids=str
)
@pytest.mark.parametrize(
    ("old", "new"),
    [(SIZE, SIZE // 2 + 512), (SIZE // 2 + 512, SIZE), (SIZE, 8 * MiB), (3 * MiB, 0), (0, MiB)],
)
def test_the_size_changes_in_one_step(old: int, new: int, options: dict[str, Any]) -> None:
    async def run(seed: int) -> None:
        rng = random.Random(seed)
        data = rng.randbytes(old)
        file = MemoryFile()
        await Qcow2Driver.create(file, {"size": old, **options})
        driver = await Qcow2Driver.open(Context({"file": file}))
        if old:
            await Engine(driver).write(0, data)
            await driver.flush()
        start = bytes(file.data)
        file.log.clear()
        await driver.truncate(new)
        await driver.close()
        for cut in range(len(file.log) + 1):
            left = after_power_cut(start, file.log, cut, rng)
            assert not judge(left).corruptions
            got = await read_all(left, None) if left else b""
            assert len(got) in {old, new}
            assert got == data[: len(got)].ljust(len(got), b"\0")
        assert len(got) == new

    for seed in range(3 if max(old, new) <= SIZE else 1):
        asyncio.run(run(seed))


SHARED: list[dict[str, str | int]] = [
    {"compat": "0.10", "cluster_size": 1024},
    {"compat": "1.1", "cluster_size": 1024},
    {"extended_l2": "on", "cluster_size": 16384},
]


@pytest.mark.parametrize("options", SHARED, ids=str)
def test_snapshots_survive_what_happens_to_the_image_above_them(
    tmp_path: Path, options: dict[str, str | int]
) -> None:
    image = make_qcow2(tmp_path / "image.qcow2", str(SIZE), **options)
    qemu_io(image, f"write -P 17 0 {SIZE // 2}", f"write -P 34 {SIZE // 4 * 3} 5000")
    qemu_img("snapshot", "-c", "kept", image)
    saved = b"\x11" * (SIZE // 2) + bytes(SIZE // 4) + (b"\x22" * 5000).ljust(SIZE // 4, b"\0")
    rng = random.Random(str(options))

    async def run() -> list[bytearray]:
        file = MemoryFile(image.read_bytes(), yields=True)
        work = Workload(file, None, saved, 1)
        await work.run(40)
        return [await check_cut(work, rng) for _ in range(60)]

    for state in asyncio.run(run())[::6]:
        image.write_bytes(state)
        plain, raw = tmp_path / "plain", tmp_path / "raw"
        qemu_img("convert", "-l", "kept", "-f", "qcow2", "-O", "raw", image, raw)
        plain.write_bytes(saved)
        qemu_img("compare", "-f", "raw", "-F", "raw", raw, plain)
