"""The options that an image is opened with: what is refused, and what the others do."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from qmpserver.driver_api.extras import SnapshotInfo
from qmpserver.drivers.qcow2.driver import Qcow2Driver
from qmpserver.drivers.qcow2.header import Header
from qmpserver.drivers.qcow2.runtime import RuntimeOptions
from qmpserver.errors import CorruptImage, QMPError
from tests.contract.engine import Context, Engine, MemoryFile
from tests.images import judge, make_qcow2, qemu_img, qemu_io
from tests.peers import need

KiB, MiB = 1024, 1024 * 1024
COPIED = 1 << 63
ENTRY = "L2 cache entry size must be a power of two between 512 and the cluster size (65536)"

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (
        "1.1",
        {"cache-size": MiB, "l2-cache-size": MiB // 2, "refcount-cache-size": MiB // 2},
        "cache-size, l2-cache-size and refcount-cache-size may not be set at the same time",
    ),
    ("1.1", {"cache-size": MiB, "l2-cache-size": 2 * MiB}, "l2-cache-size may not exceed cache-size"),
    (
        "1.1",
        {"cache-size": MiB, "refcount-cache-size": 2 * MiB},
        "refcount-cache-size may not exceed cache-size",
    ),
    ("1.1", {"l2-cache-entry-size": 256}, ENTRY),
    ("1.1", {"l2-cache-entry-size": MiB}, ENTRY),
    ("1.1", {"l2-cache-entry-size": 3000}, ENTRY),
    ("1.1", {"l2-cache-size": -1}, "Value '-1' is out of range for parameter 'l2-cache-size'"),
    ("1.1", {"refcount-cache-size": -1}, "Value '-1' is out of range for parameter 'refcount-cache-size'"),
    ("1.1", {"cache-size": -5}, "Value '-5' is out of range for parameter 'cache-size'"),
    ("1.1", {"refcount-cache-size": 1 << 62}, "Refcount cache size too big"),
    ("1.1", {"cache-size": 1 << 62}, "Refcount cache size too big"),
    ("1.1", {"cache-clean-interval": -1}, "Cache clean interval too big"),
    ("1.1", {"cache-clean-interval": 1 << 33}, "Cache clean interval too big"),
    (
        "0.10",
        {"lazy-refcounts": True},
        "Lazy refcounts require a qcow2 image with at least qemu 1.1 compatibility level",
    ),
    ("0.10", {"discard-no-unref": True}, "discard-no-unref is only supported since qcow2 version 3"),
    ("0.10", {"lazy-refcounts": True, "cache-clean-interval": -1}, "Cache clean interval too big"),
]


async def new_image(
    runtime: dict[str, Any], create: dict[str, Any] | None = None, *, discard: bool = False
) -> tuple[MemoryFile, Engine]:
    file = MemoryFile()
    await Qcow2Driver.create(file, {"size": MiB, **(create or {})})
    return file, Engine(await Qcow2Driver.open(Context({"file": file}, discard=discard, options=runtime)))


@pytest.mark.parametrize(("compat", "options", "text"), REFUSED)
def test_what_cannot_be_had_is_refused_by_name(compat: str, options: dict[str, Any], text: str) -> None:
    async def run() -> None:
        with pytest.raises(QMPError) as caught:
            await new_image(options, {"version": "v2" if compat == "0.10" else "v3"})
        assert caught.value.description == text

    asyncio.run(run())


@pytest.mark.parametrize(("compat", "options", "text"), REFUSED)
def test_qemu_refuses_it_in_these_words(
    tmp_path: Path, compat: str, options: dict[str, Any], text: str
) -> None:
    image = make_qcow2(tmp_path / "image.qcow2", "1M", compat=compat)
    node = {
        "driver": "qcow2",
        "node-name": "a",
        "file": {"driver": "file", "filename": str(image)},
        **options,
    }
    program = need("qemu-storage-daemon")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    if " 7." in version and ("discard-no-unref" in options or "out of range" in text):
        pytest.skip("an older QEMU does not know this option, or words it differently")
    commands = [
        {"execute": "qmp_capabilities"},
        {"execute": "blockdev-add", "arguments": node},
        {"execute": "quit"},
    ]
    done = subprocess.run(
        [program, "--chardev", "stdio,id=m", "--monitor", "m"],
        input="".join(json.dumps(command) for command in commands),
        capture_output=True,
        text=True,
        check=False,
    )
    replies = [json.loads(line) for line in done.stdout.splitlines()]
    assert [reply["error"]["desc"] for reply in replies if "error" in reply] == [text]


SHARES: list[tuple[dict[str, Any], tuple[int | None, int | None]]] = [
    ({}, (None, None)),
    ({"l2-cache-size": 0}, (2, None)),
    ({"l2-cache-size": 10 * MiB}, (16, None)),
    ({"refcount-cache-size": 0}, (None, 4)),
    ({"refcount-cache-size": MiB}, (None, 16)),
    ({"cache-size": 2 * MiB}, (16, 16)),
    ({"cache-size": MiB}, (12, 4)),
    ({"cache-size": 128 * KiB}, (2, 4)),
    ({"cache-size": 2 * MiB, "l2-cache-size": MiB // 2}, (8, 24)),
    ({"cache-size": 2 * MiB, "refcount-cache-size": MiB}, (16, 16)),
]


@pytest.mark.parametrize(("options", "expected"), SHARES)
def test_the_memory_for_both_caches_is_shared_between_them(
    options: dict[str, Any], expected: tuple[int | None, int | None]
) -> None:
    header = Header(3, 16, 8 << 30, 16, 0, 0, 1)
    runtime = RuntimeOptions.parse(options, header, discard=False)
    assert (runtime.l2_tables, runtime.refcount_blocks) == expected


def test_no_more_tables_are_kept_than_was_asked_for() -> None:
    async def run() -> None:
        file, engine = await new_image({"l2-cache-size": 0, "refcount-cache-size": 0}, {"cluster-size": 512})
        for offset in range(0, MiB, 16 * KiB):
            await engine.write(offset, b"x" * 512)
        assert isinstance(engine.driver, Qcow2Driver)
        assert len(engine.driver._parts.tables.cached) <= 2
        await engine.driver.close()
        assert judge(file.data) == ([], 0)

    asyncio.run(run())


def test_what_was_not_used_for_an_interval_is_dropped_from_memory() -> None:
    async def run() -> None:
        file, engine = await new_image({"cache-clean-interval": 1})
        driver = engine.driver
        assert isinstance(driver, Qcow2Driver)
        await engine.write(0, b"x" * 512)
        driver._cleaner.clean()
        driver._cleaner.clean()
        assert driver._parts.tables.cached
        await driver.flush()
        driver._cleaner.clean()
        assert not driver._parts.tables.cached
        assert await engine.read(0, 512) == b"x" * 512
        await engine.write(MiB // 2, b"y" * 512)
        await driver.close()
        assert judge(file.data) == ([], 0)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("discard", "runtime", "passed"),
    [
        (False, {}, False),
        (True, {}, True),
        (True, {"pass-discard-request": False}, False),
        (False, {"pass-discard-request": True}, True),
    ],
)
def test_the_guests_discards_are_passed_on_as_was_asked_for(
    discard: bool, runtime: dict[str, Any], passed: bool
) -> None:
    async def run() -> None:
        file, engine = await new_image(runtime, discard=discard)
        await engine.write(0, b"x" * 65536)
        await engine.driver.flush()
        await engine.discard(0, 65536)
        await engine.driver.flush()
        assert (b"\xdd" * 65536 in file.data) == passed

    asyncio.run(run())


def test_space_of_the_images_own_structures_is_given_back_only_when_asked_for(tmp_path: Path) -> None:
    image = make_qcow2(tmp_path / "image.qcow2", "1M")
    qemu_io(image, "write 0 64k")
    qemu_img("snapshot", "-c", "s", image)

    async def run(runtime: dict[str, Any]) -> bool:
        file = MemoryFile(image.read_bytes())
        driver = await Qcow2Driver.open(Context({"file": file}, options=runtime))
        before = len(file.data)
        for size in (1 << 34, 1 << 40):
            await driver.truncate(size)
        await driver.close()
        assert judge(file.data) == ([], 0)
        return b"\xdd" * 65536 in file.data[: before + (16 << 20)]

    assert not asyncio.run(run({}))
    assert asyncio.run(run({"pass-discard-other": True}))


@pytest.mark.parametrize("options", [{}, {"extended-l2": True}, {"cluster-size": 4096}], ids=str)
def test_without_unreferencing_a_discarded_cluster_keeps_its_place(options: dict[str, Any]) -> None:
    async def run() -> None:
        file, engine = await new_image({"discard-no-unref": True}, options, discard=True)
        await engine.write(0, b"x" * 262144)
        driver = engine.driver
        assert isinstance(driver, Qcow2Driver)
        place = (await driver.map(65536, 512)).offset
        await driver.flush()
        size = len(file.data)
        await engine.discard(65536, 65536)
        await engine.zero(131072, 65536, may_unmap=True)
        assert file.data[place : place + 131072] == bytes(131072)
        assert await engine.read(0, 262144) == b"x" * 65536 + bytes(131072) + b"x" * 65536
        await engine.write(65536, b"y" * 512)
        assert (await driver.map(65536, 512)).offset == place
        await driver.close()
        assert len(file.data) == size
        assert judge(file.data) == ([], 0)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("options", "is_given_back"), [({}, True), ({"pass-discard-snapshot": False}, False)]
)
def test_what_only_a_deleted_snapshot_held_is_given_back(
    options: dict[str, Any], is_given_back: bool
) -> None:
    """QEMU: whether or not a guest's own discards are."""

    async def run() -> None:
        file, engine = await new_image(options)
        driver = engine.driver
        assert isinstance(driver, Qcow2Driver)
        await engine.write(0, b"old" * 21845 + b"o")
        await driver.create_snapshot(SnapshotInfo("", "s"))
        await engine.write(0, b"x" * 65536)
        await driver.delete_snapshot("1", None)
        assert (b"old" not in file.data) is is_given_back
        assert await engine.read(0, 65536) == b"x" * 65536

    asyncio.run(run())


def test_without_unreferencing_what_a_snapshot_shares_is_not_harmed(tmp_path: Path) -> None:
    image = make_qcow2(tmp_path / "image.qcow2", "1M")
    qemu_io(image, "write -P 17 0 1M")
    qemu_img("snapshot", "-c", "s", image)

    async def run() -> MemoryFile:
        file = MemoryFile(image.read_bytes())
        context = Context({"file": file}, discard=True, options={"discard-no-unref": True})
        engine = Engine(await Qcow2Driver.open(context))
        await engine.discard(0, MiB // 2)
        await engine.write(0, b"w" * 65536)
        assert await engine.read(0, MiB) == b"w" * 65536 + bytes(MiB // 2 - 65536) + b"\x11" * (MiB // 2)
        await engine.driver.close()
        return file

    image.write_bytes(asyncio.run(run()).data)
    raw = tmp_path / "raw"
    qemu_img("convert", "-l", "s", "-f", "qcow2", "-O", "raw", image, raw)
    assert raw.read_bytes() == b"\x11" * MiB


OVERLAPS: list[tuple[Any, int, bool]] = [
    ("cached", 0x20000, True),
    ("none", 0x20000, False),
    ("constant", 0x20000, False),
    ("constant", 0x10000, True),
    ({"template": "none", "refcount-block": True}, 0x20000, True),
    ({"template": "all", "refcount-block": False}, 0x20000, False),
    ({"active-l2": False}, 0x20000, True),
]


@pytest.mark.parametrize(("choice", "place", "refused"), OVERLAPS)
def test_only_the_metadata_that_was_asked_for_is_guarded(choice: Any, place: int, refused: bool) -> None:
    async def run() -> None:
        file, engine = await new_image({})
        await engine.write(0, b"x" * 512)
        await engine.driver.close()
        file.data[0x40000:0x40008] = (COPIED | place).to_bytes(8, "big")
        options = {"overlap-check": choice}
        engine = Engine(await Qcow2Driver.open(Context({"file": file}, options=options)))
        if refused:
            with pytest.raises(CorruptImage):
                await engine.write(0, b"y" * 512)
        else:
            await engine.write(0, b"y" * 512)
            assert file.data[place : place + 512] == b"y" * 512

    asyncio.run(run())


def test_all_guards_the_tables_of_snapshots_as_well(tmp_path: Path) -> None:
    image = make_qcow2(tmp_path / "image.qcow2", "1M")
    qemu_io(image, "write -P 17 0 64k")
    qemu_img("snapshot", "-c", "s", image)
    qemu_io(image, "write -P 34 0 64k")

    async def run(choice: str) -> str | None:
        file = MemoryFile(image.read_bytes())
        l1 = int.from_bytes(file.data[40:48], "big")
        l2 = int.from_bytes(file.data[l1 : l1 + 8], "big") & ~COPIED
        snapshot = int.from_bytes(file.data[64:72], "big")
        inactive_l1 = int.from_bytes(file.data[snapshot : snapshot + 8], "big")
        inactive_l2 = int.from_bytes(file.data[inactive_l1 : inactive_l1 + 8], "big") & ~COPIED
        file.data[l2 : l2 + 8] = (COPIED | inactive_l2).to_bytes(8, "big")
        context = Context({"file": file}, options={"overlap-check": choice})
        engine = Engine(await Qcow2Driver.open(context))
        try:
            await engine.write(0, b"y" * 512)
        except CorruptImage:
            return context.corruption[0][0]
        return None

    assert asyncio.run(run("cached")) is None
    text = "Preventing invalid write on metadata (overlaps with inactive L2 table)"
    assert asyncio.run(run("all")) == text
