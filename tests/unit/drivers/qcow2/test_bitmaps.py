"""Stored bitmaps: what is stored comes back, nothing stale counts as up to date, damage is named."""

import asyncio
import random
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from qmpserver.block.bits import Bits
from qmpserver.driver_api.bitmaps import StoredBitmap
from qmpserver.driver_api.extras import CheckMode, SnapshotInfo
from qmpserver.drivers.qcow2 import bitmap_directory as directory
from qmpserver.drivers.qcow2.driver import Qcow2Driver
from qmpserver.errors import QMPError
from tests.contract.engine import Context, Engine, MemoryFile
from tests.contract.power import after_power_cut
from tests.images import make_qcow2, qemu_check, qemu_img, qemu_io
from tests.peers import need

KiB, MiB = 1024, 1024 * 1024
SIZE = 4 * MiB
GRANULARITY = 512
BITS = SIZE // GRANULARITY


async def new_image(**options: Any) -> MemoryFile:
    file = MemoryFile()
    await Qcow2Driver.create(file, {"size": SIZE, "cluster-size": 512, **options})
    return file


async def opened(file: MemoryFile, *, read_only: bool = False, **options: Any) -> Qcow2Driver:
    return await Qcow2Driver.open(Context({"file": file}, read_only=read_only, **options))


def stored(name: str, *, is_enabled: bool = True, is_in_use: bool = False) -> StoredBitmap:
    return StoredBitmap(name, GRANULARITY, is_enabled, is_in_use)


def bits_of(marked: set[int]) -> Bits:
    bits = Bits(BITS)
    for bit in marked:
        bits.set(bit, bit + 1)
    return bits


async def content(driver: Qcow2Driver, name: str) -> set[int]:
    bits = Bits(BITS)
    await driver.load_bitmap(name, bits)
    return {bit for first, stop in bits.runs() for bit in range(first, stop)}


async def check(data: bytes | bytearray) -> tuple[int, int]:
    driver = await Qcow2Driver.open_for_check(Context({"file": MemoryFile(data)}, read_only=True))
    result = await driver.check(CheckMode.NONE)
    return result.corruptions + result.check_errors, result.leaks


async def image_with(*bitmaps: tuple[StoredBitmap, set[int]], **options: Any) -> MemoryFile:
    file = await new_image(**options)
    driver = await opened(file)
    await driver.store_bitmaps([(one, bits_of(marked)) for one, marked in bitmaps])
    await driver.close()
    return file


PATTERNS: list[set[int]] = [
    set(),
    {0},
    {BITS - 1},
    set(range(BITS)),
    set(range(4096)),
    {1, 4096, *range(5000, 8192)},
    set(random.Random(1).sample(range(BITS), 500)),
]


@pytest.mark.parametrize("cluster_size", [512, 65536])
def test_what_is_stored_comes_back(cluster_size: int) -> None:
    async def scenario() -> None:
        named = {f"b{index}": marked for index, marked in enumerate(PATTERNS)}
        file = await image_with(
            *((stored(name, is_enabled=name != "b1"), marked) for name, marked in named.items()),
            **{"cluster-size": cluster_size},
        )
        driver = await opened(file, read_only=True)
        assert driver.stored_bitmaps == tuple(stored(name, is_enabled=name != "b1") for name in named)
        for name, marked in named.items():
            assert await content(driver, name) == marked
        assert await check(file.data) == (0, 0)
        shown = driver.image_info()["format-specific"]["data"]["bitmaps"]
        assert shown[:2] == [
            {"name": "b0", "granularity": 512, "flags": ["auto"]},
            {"name": "b1", "granularity": 512, "flags": []},
        ]

    asyncio.run(scenario())


def test_a_writable_image_says_that_its_bitmaps_are_in_use_until_they_are_stored() -> None:
    async def scenario() -> None:
        file = await image_with((stored("one"), {7}), (stored("two"), {8}))
        driver = await opened(file)
        # As they were found, for whoever loads them; not as the image now says.
        assert driver.stored_bitmaps == (stored("one"), stored("two"))
        assert await content(driver, "one") == {7}
        await driver.store_bitmaps([(stored("two"), bits_of({9}))])
        await driver.close()
        again = await opened(file, read_only=True)
        assert again.stored_bitmaps == (stored("one", is_in_use=True), stored("two"))
        assert await content(again, "two") == {9}
        assert await check(file.data) == (0, 0)

    asyncio.run(scenario())


def test_a_removed_bitmap_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        file = await image_with((stored("one"), {7}), (stored("two"), set(range(100))))
        driver = await opened(file)
        for name in ("one", "nope", "two"):
            await driver.remove_bitmap(name)
        await driver.close()
        assert (await opened(file, read_only=True)).stored_bitmaps == ()
        assert await check(file.data) == (0, 0)

    asyncio.run(scenario())


def test_bitmaps_survive_another_backing_file_snapshots_and_a_repair() -> None:
    async def scenario() -> None:
        file = await image_with((stored("one"), {7}))
        driver = await opened(file)
        await driver.change_backing_file("base", "raw")
        await driver.create_snapshot(SnapshotInfo("", "kept"))
        await driver.create_snapshot(SnapshotInfo("", "gone"))
        await driver.delete_snapshot(None, "gone")
        await driver.check(CheckMode.ALL)
        await driver.store_bitmaps([(stored("one"), bits_of({7, 8}))])
        await driver.close()
        again = await opened(file, read_only=True)
        assert (again.backing_filename, again.backing_format) == ("base", "raw")
        assert await content(again, "one") == {7, 8}
        assert await check(file.data) == (0, 0)

    asyncio.run(scenario())


def test_an_image_that_was_changed_without_regard_to_its_bitmaps_has_none() -> None:
    async def scenario() -> None:
        file = await image_with((stored("one"), {7}))
        file.data[88:96] = bytes(8)
        driver = await opened(file)
        assert driver.stored_bitmaps == ()
        await driver.store_bitmaps([(stored("two"), bits_of({9}))])
        await driver.close()
        assert (await opened(file, read_only=True)).stored_bitmaps == (stored("two"),)
        corruptions, leaks = await check(file.data)
        assert not corruptions
        assert leaks

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("options", "name", "granularity", "others", "reason"),
    [
        ({"version": "v2"}, "b", 512, [], "Cannot store dirty bitmaps in qcow2 v2 files"),
        ({}, "x" * 1024, 512, [], "Name length exceeds maximum (1023 characters)"),
        (
            {"size": 1 << 42, "cluster-size": 65536},
            "b",
            512,
            [],
            "Too much space will be occupied by the bitmap. Use larger granularity",
        ),
        (
            {},
            "b",
            512,
            [str(number) for number in range(65535)],
            "Maximum number of persistent bitmaps is already reached",
        ),
    ],
)
def test_a_bitmap_that_cannot_be_held_is_refused(
    options: dict[str, Any], name: str, granularity: int, others: list[str], reason: str
) -> None:
    async def scenario() -> None:
        driver = await opened(await new_image(**options))
        with pytest.raises(QMPError) as caught:
            driver.check_new_bitmap(StoredBitmap(name, granularity, True), others)
        assert caught.value.description == f"Can't make bitmap '{name}' persistent in 'node0': {reason}"
        await driver.close()

    asyncio.run(scenario())


def test_a_version_that_holds_no_bitmaps_is_refused_while_there_are_some() -> None:
    async def scenario() -> None:
        driver = await opened(await image_with((stored("one"), {7})))
        with pytest.raises(QMPError, match="Cannot downgrade an image with persistent bitmaps"):
            await driver.amend({"version": "v2"})
        await driver.remove_bitmap("one")
        await driver.amend({"version": "v2"})
        await driver.close()

    asyncio.run(scenario())


def test_a_store_that_fails_changes_nothing() -> None:
    async def scenario() -> None:
        for failing in range(12):
            file = await image_with((stored("one"), {7}), **{"cluster-size": 4096})
            driver = await opened(file)
            file.fail_next = [None] * failing + [OSError(5, "no")]
            try:
                await driver.store_bitmaps([(stored("one"), bits_of({1})), (stored("two"), bits_of({2}))])
            except OSError:
                corruptions, _ = await check(file.data)
                assert not corruptions
                left = await opened(MemoryFile(file.data), read_only=True)
                assert [one.is_in_use for one in left.stored_bitmaps] in ([True], [False, False])
            file.fail_next.clear()
            await driver.close()
            corruptions, _ = await check(file.data)
            assert not corruptions

    asyncio.run(scenario())


class History:
    """A random life of one image with bitmaps, and what each state after a power cut has to satisfy."""

    def __init__(self, file: MemoryFile, seed: int) -> None:
        self.file = file
        self.rng = random.Random(seed)
        self.start = bytes(file.data)
        self.writes: list[tuple[int, str, int]] = []
        """What a bitmap has to know: length of the log when the write began, the bitmap, the granule."""
        self.marks: dict[str, set[int]] = {}

    async def live(self) -> None:
        for _ in range(6):
            driver = await opened(self.file)
            self.marks = {
                one.name: await content(driver, one.name)
                for one in driver.stored_bitmaps
                if not one.is_in_use
            }
            for name in ("a", "b"):
                if name not in self.marks and all(one.name != name for one in driver.stored_bitmaps):
                    # What was written before it was there is nothing to it.
                    self.writes = [write for write in self.writes if write[1] != name]
                    self.marks[name] = set()
            await self._use(driver)
            if self.rng.random() < 0.8:
                await driver.store_bitmaps(
                    [(stored(name), bits_of(marks)) for name, marks in self.marks.items()]
                )
            await driver.close()

    async def _use(self, driver: Qcow2Driver) -> None:
        engine = Engine(driver)
        for _ in range(self.rng.randrange(8)):
            granule = self.rng.randrange(BITS)
            for name in self.marks:
                self.writes.append((len(self.file.log), name, granule))
                self.marks[name].add(granule)
            await engine.write(granule * GRANULARITY, self.rng.randbytes(GRANULARITY))
        if self.rng.random() < 0.3 and driver.stored_bitmaps:
            gone = self.rng.choice(driver.stored_bitmaps).name
            await driver.remove_bitmap(gone)
            self.marks.pop(gone, None)

    async def judge(self) -> None:
        cut = self.rng.randrange(1, len(self.file.log) + 1)
        left = after_power_cut(self.start, self.file.log, cut, self.rng)
        corruptions, _ = await check(left)
        assert not corruptions, cut
        driver = await opened(MemoryFile(left), read_only=True)
        for one in driver.stored_bitmaps:
            if one.is_in_use:
                continue
            known = await content(driver, one.name)
            lost = [
                granule
                for begun, name, granule in self.writes
                if begun < cut and name == one.name and granule not in known
            ]
            assert not lost, (cut, one, lost)


@pytest.mark.parametrize("cluster_size", [512, 4096])
@pytest.mark.parametrize("seed", range(4))
def test_a_power_cut_leaves_no_bitmap_that_is_wrongly_up_to_date(seed: int, cluster_size: int) -> None:
    async def scenario() -> None:
        file = await new_image(**{"cluster-size": cluster_size})
        file.log.clear()
        history = History(file, seed)
        await history.live()
        for _ in range(25):
            await history.judge()

    asyncio.run(scenario())


def place_of(data: bytes | bytearray) -> tuple[int, int, int]:
    """Return where the extension's data, and the directory, begin, and the directory's length."""
    at = bytes(data).index(bytes.fromhex("23852875")) + 8
    _, _, length, offset = struct.unpack_from(">IIQQ", data, at)
    return at, offset, length


DAMAGE = [
    ("reserved", ">I", 4, 1, "bitmaps_ext: Reserved field is not zero"),
    ("none", ">I", 0, 0, "found bitmaps extension with zero bitmaps"),
    ("too many", ">I", 0, 65536, "bitmaps_ext: Image has 65536 bitmaps, exceeding the QEMU supported maximum of 65535"),
    ("fewer", ">I", 0, 3, "Less bitmaps found than specified in header extension"),
    ("more", ">I", 0, 1, "More bitmaps found than specified in header extension"),
    ("no bytes", ">Q", 8, 0, "Requested bitmap directory size is zero"),
    ("cut off", ">Q", 8, 56, "Broken bitmap directory"),
    ("huge", ">Q", 8, 67107841, "bitmaps_ext: bitmap directory size (67107841) exceeds the maximum supported size (67107840)"),
    ("unaligned", ">Q", 16, 8, "bitmaps_ext: invalid bitmap directory offset"),
]  # fmt: skip
ENTRY_DAMAGE = [
    ("extra data", ">I", 20, 8, "Bitmap extra data is not supported"),
    ("flag", ">I", 12, 8, "Bitmap 'one' doesn't satisfy the constraints"),
    ("kind", ">B", 16, 2, "Bitmap 'one' doesn't satisfy the constraints"),
    ("fine", ">B", 17, 8, "Bitmap 'one' doesn't satisfy the constraints"),
    ("coarse", ">B", 17, 32, "Bitmap 'one' doesn't satisfy the constraints"),
    ("nameless", ">H", 18, 0, "Bitmap '' doesn't satisfy the constraints"),
    ("long name", ">H", 18, 1024, "Broken bitmap directory"),
    ("table unaligned", ">Q", 0, 8, "Bitmap 'one' doesn't satisfy the constraints"),
    ("no table", ">Q", 0, 0, "Bitmap 'one' doesn't satisfy the constraints"),
    ("short table", ">I", 8, 0, "Bitmap 'one' doesn't satisfy the constraints"),
    ("huge table", ">I", 8, 0x8000001, "Bitmap 'one' doesn't satisfy the constraints"),
]


@pytest.mark.parametrize(
    ("is_entry", "row"), [(False, row) for row in DAMAGE] + [(True, row) for row in ENTRY_DAMAGE], ids=str
)
def test_damage_is_named_as_qemu_names_it(is_entry: bool, row: tuple[str, str, int, int, str]) -> None:
    _, layout, at, value, text = row

    async def scenario() -> None:
        file = await image_with((stored("one"), {7}), (stored("two"), {8}), **{"cluster-size": 65536})
        extension, entries, _ = place_of(file.data)
        struct.pack_into(layout, file.data, (entries if is_entry else extension) + at, value)
        before = bytes(file.data)
        for read_only in (True, False):
            with pytest.raises(QMPError) as caught:
                await opened(file, read_only=read_only)
            assert caught.value.description == text
        assert bytes(file.data) == before

    asyncio.run(scenario())


@pytest.mark.parametrize("value", [2, 0x200, 1 << 56, 8, 0x10001])
def test_a_damaged_table_is_named(value: int) -> None:
    async def scenario() -> None:
        file = await image_with((stored("one"), {7}), **{"cluster-size": 65536})
        _, entries, _ = place_of(file.data)
        (table,) = struct.unpack_from(">Q", file.data, entries)
        struct.pack_into(">Q", file.data, table, value)
        with pytest.raises(
            QMPError, match="Could not read bitmap_table table from image for bitmap 'one': Inv"
        ):
            await opened(file)

    asyncio.run(scenario())


def test_random_damage_is_refused_or_harmless() -> None:
    async def attempt(data: bytearray) -> None:
        try:
            driver = await opened(MemoryFile(data), read_only=True)
            for one in driver.stored_bitmaps:
                await content(driver, one.name)
            await driver.close()
        except (QMPError, OSError):
            return

    async def scenario() -> None:
        rng = random.Random(3)
        file = await image_with((stored("one"), {7}), (stored("two"), set(range(5000))))
        extension, entries, length = place_of(file.data)
        (table,) = struct.unpack_from(">Q", file.data, entries)
        places = [
            range(extension - 8, extension + 24),
            range(entries, entries + length),
            range(table, table + 64),
        ]
        for _ in range(400):
            data = bytearray(file.data)
            for at in rng.choices(rng.choice(places), k=rng.randrange(1, 4)):
                data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            await attempt(data)

    asyncio.run(scenario())


def test_a_small_image_cannot_claim_a_directory_that_is_not_there() -> None:
    with pytest.raises(QMPError, match="Broken bitmap directory"):
        directory.parse_directory(bytes(8), 1, SIZE, 512)


# Real QEMU


def test_qemu_finds_what_was_stored_here(tmp_path: Path) -> None:
    path = tmp_path / "image.qcow2"

    async def scenario() -> None:
        file = await image_with(
            (stored("one"), {7}),
            (stored("two", is_enabled=False), set(range(BITS))),
            **{"cluster-size": 65536},
        )
        path.write_bytes(file.data)

    asyncio.run(scenario())
    assert qemu_check(path) == {}
    # QEMU opens it for writing, which loads and stores every bitmap, and marks what it writes.
    qemu_io(path, f"write {100 * GRANULARITY} {2 * GRANULARITY}")
    qemu_img("bitmap", "--add", "-g", "512", path, "sum")
    qemu_img("bitmap", "--merge", "one", path, "sum")
    assert qemu_check(path) == {}

    async def look() -> None:
        driver = await opened(MemoryFile(path.read_bytes()), read_only=True)
        assert {one.name: one.is_in_use for one in driver.stored_bitmaps} == {
            "one": False,
            "two": False,
            "sum": False,
        }
        assert await content(driver, "one") == await content(driver, "sum") == {7, 100, 101}
        assert await content(driver, "two") == set(range(BITS))

    asyncio.run(look())


def test_bitmaps_that_qemu_stored_are_kept_up_here(tmp_path: Path) -> None:
    path = make_qcow2(tmp_path / "image.qcow2", "4M")
    qemu_img("bitmap", "--add", "-g", "512", path, "one")
    qemu_img("bitmap", "--add", "--disable", path, "two")
    qemu_io(path, "write 1M 1k")
    file = MemoryFile(path.read_bytes())

    async def scenario() -> None:
        driver = await opened(file)
        assert [(one.name, one.granularity, one.is_enabled) for one in driver.stored_bitmaps] == [
            ("one", 512, True),
            ("two", 65536, False),
        ]
        marked = await content(driver, "one")
        assert marked == {2048, 2049}
        await Engine(driver).write(0, bytes([1]) * 512)
        await driver.store_bitmaps([(stored("one"), bits_of({*marked, 0}))])
        await driver.close()

    asyncio.run(scenario())
    path.write_bytes(file.data)
    assert qemu_check(path) == {}
    # The one that was not stored says that it is out of date, and QEMU does not merge it.
    done = subprocess.run(
        [need("qemu-img"), "bitmap", "--merge", "two", path, "one"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Bitmap 'two' is inconsistent and cannot be used" in done.stderr
