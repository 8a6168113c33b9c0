"""Images grow and shrink; what is new reads as zeroes, whatever lay there before."""

import asyncio
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.extras import CheckMode, SnapshotInfo
from qmpserver.driver_api.mapping import MappingKind
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.drivers.qcow2.driver import Qcow2Driver
from qmpserver.errors import QMPError
from tests.contract.engine import Context, Engine, MemoryFile
from tests.contract.power import SECTOR, after_power_cut
from tests.images import judge

KiB, MiB = 1024, 1024 * 1024
MODES = list(Preallocation)

IMAGES: list[dict[str, Any]] = [
    {"cluster-size": 512},
    {"cluster-size": 512, "version": "v2"},
    {"cluster-size": 1024, "backing-file": "base", "refcount-bits": 1},
    {"cluster-size": 16 * KiB, "extended-l2": True, "backing-file": "base"},
    {"cluster-size": 4 * KiB, "data-file": "external"},
    {"cluster-size": 4 * KiB, "data-file": "external", "data-file-raw": True},
]
LARGEST = 300 * KiB


class Disk:
    """One image in memory, and the bytes that it should show."""

    def __init__(self, options: dict[str, Any], rng: random.Random) -> None:
        self.options = {**options, "size": 64 * KiB}
        self.rng = rng
        self.file = MemoryFile()
        self.backing = MemoryFile(rng.randbytes(LARGEST)) if "backing-file" in options else None
        self.data = MemoryFile(rng.randbytes(200 * KiB)) if "data-file" in options else None
        self.is_raw = bool(options.get("data-file-raw"))
        self.model = bytearray(64 * KiB)

    async def open(self) -> Engine:
        return Engine(await Qcow2Driver.open(Context(self._children(self.file))), self.backing)

    def _children(self, file: MemoryFile) -> dict[str, BlockChild]:
        named = {"file": file, "backing": self.backing, "data-file": self.data}
        return {name: child for name, child in named.items() if child is not None}

    async def create(self) -> Engine:
        if self.data is not None:
            self.options["data-file"] = self.data
        await Qcow2Driver.create(self.file, self.options)
        if self.backing is not None:
            self.model[:] = self.backing.data[: len(self.model)]
        elif self.is_raw and self.data is not None:
            self.model[:] = self.data.data[: len(self.model)]
        return await self.open()

    async def write(self, engine: Engine, offset: int, length: int) -> None:
        length = min(length, len(self.model) - offset)
        if length > 0:
            data = self.rng.randbytes(length)
            await engine.write(offset, data)
            self.model[offset : offset + length] = data

    async def resize(self, engine: Engine, size: int, mode: Preallocation) -> None:
        old = len(self.model)
        if size < old and mode is not Preallocation.OFF:
            with pytest.raises(QMPError):
                await engine.driver.truncate(size, mode)
        else:
            await engine.driver.truncate(size, mode)
            self.become(size)

    def become(self, size: int) -> None:
        old = len(self.model)
        self.model[size:] = bytes(max(size - old, 0))
        if self.is_raw and self.data is not None and size > old:
            self.model[old:] = self.data.data[old:size]

    async def shown(self, data: bytes | bytearray) -> bytes:
        context = Context(self._children(MemoryFile(data)), read_only=True)
        driver = await Qcow2Driver.open(context)
        return await Engine(driver, self.backing).read(0, driver.size) if driver.size else b""


SIZES = st.integers(0, LARGEST // SECTOR).map(lambda sectors: sectors * SECTOR)
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("resize"), SIZES, st.sampled_from(MODES)),
        st.tuples(st.just("write"), SIZES, st.integers(1, 40 * KiB)),
        st.tuples(st.just("reopen"), SIZES, SIZES),
    ),
    min_size=2,
    max_size=9,
)


@pytest.mark.parametrize("options", IMAGES, ids=str)
@given(changes=CHANGES, seed=st.integers(0, 1 << 30))
@settings(max_examples=25)
def test_a_plain_model_agrees(options: dict[str, Any], changes: list[Any], seed: int) -> None:
    async def run() -> None:
        disk = Disk(options, random.Random(seed))
        engine = await disk.create()
        for kind, number, argument in changes:
            match kind:
                case "resize":
                    await disk.resize(engine, number, argument)
                case "write":
                    await disk.write(engine, number, argument)
                case _:
                    await engine.driver.close()
                    engine = await disk.open()
            assert engine.driver.size == len(disk.model)
        assert await engine.read(0, len(disk.model)) == disk.model
        await engine.driver.close()
        assert await disk.shown(disk.file.data) == disk.model
        assert judge(disk.file.data) == ([], 0)

    asyncio.run(run())


SNAPSHOT_CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("resize"), SIZES, st.sampled_from(MODES)),
        st.tuples(st.just("write"), SIZES, st.integers(1, 40 * KiB)),
        st.tuples(st.sampled_from(["take", "apply", "delete"]), st.integers(0, 5), st.none()),
    ),
    min_size=4,
    max_size=12,
)


@pytest.mark.parametrize("options", [IMAGES[0], {**IMAGES[2], "refcount-bits": 8}, IMAGES[3]], ids=str)
@given(changes=SNAPSHOT_CHANGES, seed=st.integers(0, 1 << 30))
@settings(max_examples=25)
def test_snapshots_keep_the_size_they_were_taken_at(
    options: dict[str, Any], changes: list[Any], seed: int
) -> None:
    async def run() -> None:
        disk = Disk(options, random.Random(seed))
        engine = await disk.create()
        driver = engine.driver
        kept: dict[str, bytes] = {}
        assert isinstance(driver, Qcow2Driver)
        for kind, number, argument in changes:
            which = sorted(kept)[number % len(kept)] if kept else ""
            match kind:
                case "resize":
                    await disk.resize(engine, number, argument)
                case "write":
                    await disk.write(engine, number, argument)
                case "take":
                    taken = await driver.create_snapshot(SnapshotInfo("", "s"))
                    kept[taken.snapshot_id] = bytes(disk.model)
                case "apply" if kept:
                    await driver.apply_snapshot(which, None)
                    disk.model[:] = kept[which]
                case "delete" if kept:
                    await driver.delete_snapshot(which, None)
                    del kept[which]
            assert driver.size == len(disk.model)
            assert await engine.read(0, driver.size) == disk.model
        await driver.close()
        assert await disk.shown(disk.file.data) == disk.model
        assert judge(disk.file.data) == ([], 0)

    asyncio.run(run())


@pytest.mark.parametrize("options", IMAGES[:4], ids=str)
@pytest.mark.parametrize(("old", "new"), [(64, 200), (200, 30), (63, 65)], ids=str)
@pytest.mark.parametrize("mode", [Preallocation.OFF, Preallocation.METADATA])
def test_a_power_cut_leaves_the_old_size_or_the_new(
    options: dict[str, Any], old: int, new: int, mode: Preallocation
) -> None:
    mode = mode if new > old else Preallocation.OFF

    async def run() -> None:
        rng = random.Random(old)
        disk = Disk(options, rng)
        engine = await disk.create()
        await disk.resize(engine, old * KiB, Preallocation.OFF)
        for _ in range(6):
            await disk.write(engine, rng.randrange(old * 2) * SECTOR, 9 * KiB)
        await engine.driver.flush()
        start, before = bytes(disk.file.data), bytes(disk.model)
        disk.file.log.clear()
        await disk.resize(engine, new * KiB, mode)
        await engine.driver.close()
        states = {len(before): before, len(disk.model): bytes(disk.model)}
        for cut in rng.sample(range(len(disk.file.log) + 1), min(12, len(disk.file.log))):
            left = after_power_cut(start, disk.file.log, cut, rng)
            assert not judge(left).corruptions, cut
            shown = await disk.shown(left)
            assert shown == states[len(shown)], cut
            await disk_grows_over_what_was_left(disk, left, shown)

    asyncio.run(run())


async def disk_grows_over_what_was_left(disk: Disk, left: bytearray, shown: bytes) -> None:
    """Whatever the power cut left beyond the end, nothing of it comes to light later."""
    file = MemoryFile(left)
    driver = await Qcow2Driver.open(Context(disk._children(file)))
    if disk.options.get("version") == "v2" and disk.backing is not None:
        return
    await driver.truncate(LARGEST + 32 * KiB)
    await driver.close()
    assert (await disk.shown(file.data)).rstrip(b"\0") == shown.rstrip(b"\0")


def test_a_grown_disk_does_not_show_the_state_of_a_machine() -> None:
    async def run() -> None:
        disk = Disk({"cluster-size": 512}, random.Random(1))
        driver = (await disk.create()).driver
        assert isinstance(driver, Qcow2Driver)
        await driver.write_vm_state(0, memoryview(b"state" * 1000))
        await driver.create_snapshot(SnapshotInfo("", "s", vm_state_size=5000))
        await driver.apply_snapshot("1", None)
        await driver.truncate(LARGEST)
        assert await Engine(driver).read(0, LARGEST) == bytes(LARGEST)
        into = bytearray(5000)
        await driver.read_snapshot_vm_state("1", 0, memoryview(into))
        assert into == b"state" * 1000
        await driver.close()
        assert judge(disk.file.data) == ([], 0)

    asyncio.run(run())


@pytest.mark.parametrize("options", IMAGES, ids=str)
@pytest.mark.parametrize("mode", MODES[1:])
def test_preallocation_maps_everything_that_is_new(options: dict[str, Any], mode: Preallocation) -> None:
    async def run() -> None:
        disk = Disk(options, random.Random(2))
        engine = await disk.create()
        # Clusters that were in use before are not shown again.
        await disk.write(engine, 0, 64 * KiB)
        await engine.driver.truncate(0)
        await engine.driver.flush()
        await engine.driver.truncate(64 * KiB, mode)
        disk.become(0)
        disk.become(64 * KiB)
        assert isinstance(engine.driver, Qcow2Driver)
        if not options.get("extended-l2"):
            mapping = await engine.driver.map(0, 64 * KiB)
            assert mapping.kind is MappingKind.DATA
        assert await engine.read(0, 64 * KiB) == disk.model
        size = len(disk.file.data)
        await engine.write(0, bytes(64 * KiB))
        await engine.driver.close()
        assert len(disk.file.data) == size

    asyncio.run(run())


def test_a_smaller_image_gives_back_what_it_held() -> None:
    async def run() -> None:
        disk = Disk({"cluster-size": 4 * KiB}, random.Random(4))
        engine = await disk.create()
        await engine.write(8 * KiB, b"kept" * KiB)
        await engine.write(0, b"gone" * 2 * KiB)
        await engine.write(12 * KiB, b"gone" * 13 * KiB)
        full = len(disk.file.data)
        await engine.driver.truncate(12 * KiB)
        await engine.driver.close()
        assert len(disk.file.data) == full - 52 * KiB
        assert disk.file.data.count(b"gone") == 2 * KiB
        assert judge(disk.file.data) == ([], 0)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("options", "size", "mode", "text"),
    [
        ({}, 1000, Preallocation.OFF, "The new size must be a multiple of 512"),
        ({}, 512, Preallocation.FULL, "Preallocation can't be used for shrinking an image"),
        ({}, 1 << 60, Preallocation.OFF, "Failed to grow the L1 table: File too large"),
        (
            {"version": "v2", "backing-file": "base"},
            LARGEST,
            Preallocation.OFF,
            "Failed to zero out new clusters: Operation not supported",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    options: dict[str, Any], size: int, mode: Preallocation, text: str
) -> None:
    async def run() -> None:
        disk = Disk(options, random.Random(3))
        engine = await disk.create()
        with pytest.raises(QMPError) as refused:
            await engine.driver.truncate(size, mode)
        assert refused.value.description == text
        assert await engine.read(0, 64 * KiB) == disk.model

    asyncio.run(run())


def test_no_table_on_disk_leads_past_the_end_of_the_file_while_room_is_set_aside() -> None:
    """Small caches make tables go to the disk while the image grows."""

    async def run() -> None:
        file = MemoryFile()
        await Qcow2Driver.create(file, {"size": 0, "cluster-size": 512})
        driver = await Qcow2Driver.open(Context({"file": file}, options={"l2-cache-size": 0}))
        start = bytes(file.data)
        file.log.clear()
        await driver.truncate(MiB, Preallocation.METADATA)
        left = bytearray(start)
        for entry in file.log:
            if entry[0] == "write":
                left[entry[1] : entry[1] + len(entry[2])] = entry[2]
            elif entry[0] == "truncate":
                left.extend(bytes(entry[1] - len(left)))
            elif entry[0] == "flushed":
                checked = await Qcow2Driver.open_for_check(
                    Context({"file": MemoryFile(left)}, read_only=True)
                )
                assert (await checked.check(CheckMode.NONE)).corruptions == 0

    asyncio.run(run())
