"""Garbage in any header field or table gives an error that names it, or correct data, and nothing else."""

import asyncio
import random
import struct
import subprocess
import tracemalloc
from array import array
from typing import Any

import pytest

from qmpserver.drivers.qcow2.driver import Qcow2Driver
from qmpserver.errors import CorruptImage, QMPError
from tests.contract.engine import Context, Engine, MemoryFile
from tests.peers import need

SIZE = 1 << 20
COPIED = 1 << 63


async def sample(**options: Any) -> bytearray:
    """Make an image whose first 256 KiB hold data."""
    file = MemoryFile()
    await Qcow2Driver.create(file, {"size": SIZE, **options})
    driver = await Qcow2Driver.open(Context({"file": file}))
    await Engine(driver).write(0, b"x" * (256 << 10))
    await driver.close()
    return file.data


def make(**options: Any) -> bytearray:
    return asyncio.run(sample(**options))


def edit(data: bytearray, *edits: tuple[int, str, int]) -> bytearray:
    changed = bytearray(data)
    for offset, code, value in edits:
        struct.pack_into(f">{code}", changed, offset, value)
    return changed


HEADER_TEXTS: list[tuple[str, list[tuple[int, str, int]], str]] = [
    ("magic", [(0, "I", 5)], "Image is not in qcow2 format"),
    ("version 1", [(4, "I", 1)], "Unsupported qcow2 version 1"),
    ("version 4", [(4, "I", 4)], "Unsupported qcow2 version 4"),
    ("cluster bits 0", [(20, "I", 0)], "Unsupported cluster size: 2^0"),
    ("cluster bits 8", [(20, "I", 8)], "Unsupported cluster size: 2^8"),
    ("cluster bits 22", [(20, "I", 22)], "Unsupported cluster size: 2^22"),
    ("short header", [(100, "I", 90)], "qcow2 header too short"),
    ("long header", [(100, "I", 65537)], "qcow2 header exceeds cluster size"),
    ("encryption 3", [(32, "I", 3)], "Unsupported encryption method 3"),
    ("backing name", [(8, "Q", 0x200), (16, "I", 2000)], "Backing file name too long"),
    ("backing name past the cluster", [(8, "Q", 65530), (16, "I", 10)], "Backing file name too long"),
    ("backing offset", [(8, "Q", 65537), (16, "I", 10)], "Invalid backing file offset"),
    (
        "features",
        [(72, "Q", 1 << 10 | 1 << 20)],
        "Unsupported qcow2 feature(s): Unknown incompatible feature: 100400",
    ),
    ("corrupt", [(72, "Q", 2)], "qcow2: Image is corrupt; cannot be opened read/write"),
    ("compression 2", [(104, "B", 2), (72, "Q", 8)], "qcow2: unknown compression type: 2"),
    ("compression bit", [(72, "Q", 8)], "qcow2: Compression type incompatible feature bit must not be set"),
    ("no compression bit", [(104, "B", 1)], "qcow2: Compression type incompatible feature bit must be set"),
    ("data file", [(72, "Q", 4)], "'data-file' is required for this image"),
    ("subclusters", [(72, "Q", 16), (20, "I", 13)], "Unsupported subcluster size: 256"),
    ("raw data file", [(88, "Q", 2)], "data-file-raw requires a data file"),
    ("refcount width", [(96, "I", 7)], "Reference count entry width too large; may not exceed 64 bits"),
    ("L1 size", [(36, "I", 0x7FFFFFFF)], "Active L1 table too large"),
    ("L1 size 0", [(36, "I", 0)], "L1 table is too small"),
    ("L1 offset", [(40, "Q", 0x30001)], "Active L1 table offset invalid"),
    ("L1 offset too far", [(40, "Q", 1 << 63)], "Active L1 table offset invalid"),
    ("no refcount table", [(56, "I", 0)], "Image does not contain a reference count table"),
    ("refcount table size", [(56, "I", 129)], "Reference count table too large"),
    ("refcount table offset", [(48, "Q", 0x10001)], "Reference count table offset invalid"),
    ("snapshots", [(60, "I", 65537)], "Snapshot table too large"),
    ("snapshot offset", [(60, "I", 1), (64, "Q", 0x10001)], "Snapshot table offset invalid"),
    ("size", [(24, "Q", 1 << 63)], "Image is too big"),
    ("size over L1", [(24, "Q", 2 << 30)], "L1 table is too small"),
    ("extension", [(112, "I", 0x1234), (116, "I", 1 << 20)], "Header extension too large"),
    (
        "backing format",
        [(112, "I", 0xE2792ACA), (116, "I", 100)],
        "ERROR: ext_backing_format: len=100 too large (>=16)",
    ),
    ("bitmaps", [(112, "I", 0x23852875), (116, "I", 20)], "bitmaps_ext: Invalid extension length"),
    (
        "crypto",
        [(112, "I", 0x0537BE77), (116, "I", 16)],
        "CRYPTO header extension only expected with LUKS encryption method",
    ),
]


@pytest.mark.parametrize(
    ("edits", "text"), [row[1:] for row in HEADER_TEXTS], ids=[row[0] for row in HEADER_TEXTS]
)
def test_a_wrong_header_field_is_refused_in_qemus_words(edits: list[tuple[int, str, int]], text: str) -> None:
    with pytest.raises(QMPError) as caught:
        asyncio.run(Qcow2Driver.open(Context({"file": MemoryFile(edit(make(), *edits))})))
    assert caught.value.description == text


@pytest.mark.parametrize(("edits", "text"), [row[1:] for row in HEADER_TEXTS if row[0] != "subclusters"])
def test_qemu_refuses_a_wrong_header_field_in_these_words(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[int, str, int]], text: str
) -> None:
    image = tmp_path_factory.mktemp("damage") / "image"
    image.write_bytes(edit(make(), *edits))
    program = need("qemu-io")
    done = subprocess.run(
        [program, "-f", "qcow2", "-c", "read 0 1", image], capture_output=True, text=True, check=False
    )
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    if " 11." not in version and text not in done.stderr + done.stdout:
        pytest.skip("an older QEMU words this differently")
    assert text in done.stderr + done.stdout


def l1_and_l2(data: bytearray) -> tuple[int, int]:
    l1 = int.from_bytes(data[40:48], "big")
    return l1, int.from_bytes(data[l1 : l1 + 8], "big") & ~COPIED


CORRUPTIONS: list[tuple[str, str, int, str, str]] = [
    ("L1", "read", COPIED | 0x40200, "L2 table offset 0x40200 unaligned (L1 index: 0)", "v3"),
    ("L2", "read", COPIED | 0x50200, "Cluster allocation offset 0x50200 unaligned (L2 offset: 0x40000, L2 index: 0)", "v3"),
    ("L2", "read", COPIED | 0x50201, "Cluster allocation offset 0x50200 unaligned (L2 offset: 0x40000, L2 index: 0)", "v3"),
    ("L2", "read", 1, "Zero cluster entry found in pre-v3 image (L2 offset: 0x40000, L2 index: 0)", "v2"),
    ("L2", "write", COPIED | 0x10000, "Preventing invalid write on metadata (overlaps with refcount table)", "v3"),
    ("L2", "write", COPIED | 0x20000, "Preventing invalid write on metadata (overlaps with refcount block)", "v3"),
    ("L2", "write", COPIED | 0x30000, "Preventing invalid write on metadata (overlaps with active L1 table)", "v3"),
    ("L2", "write", COPIED | 0x40000, "Preventing invalid write on metadata (overlaps with active L2 table)", "v3"),
    ("L1", "write", COPIED | 0x10000, "Preventing invalid write on metadata (overlaps with refcount table)", "v3"),
    ("L1", "write", COPIED | 0x30000, "Preventing invalid write on metadata (overlaps with active L1 table)", "v3"),
    ("L1", "write", COPIED | 0x20000, "Preventing invalid write on metadata (overlaps with refcount block)", "v3"),
    ("reftable", "write", 0x40000, "Preventing invalid write on metadata (overlaps with refcount block)", "v3"),
    ("refcounts", "write", 0, "Preventing invalid write on metadata (overlaps with active L2 table)", "v3"),
    ("reftable", "write", 0x20200, "Refblock offset 0x20200 unaligned (reftable index: 0)", "v3"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "request_kind", "value", "text", "version"), CORRUPTIONS)
def test_corruption_is_found_marked_and_reported_in_qemus_words(
    place: str, request_kind: str, value: int, text: str, version: str
) -> None:
    async def run() -> None:
        data = await sample(version=version)
        l1, l2 = l1_and_l2(data)
        where = {"L1": l1, "L2": l2, "refcounts": 0x20008, "reftable": 0x10000}[place]
        file = MemoryFile(edit(data, (where, "H" if place == "refcounts" else "Q", value)))
        context = Context({"file": file})
        driver = await Qcow2Driver.open(context)
        engine = Engine(driver)
        offset = 0 if place in {"L1", "L2"} else 512 << 10
        request = engine.read(0, 512) if request_kind == "read" else engine.write(offset, b"y" * 512)
        with pytest.raises(CorruptImage):
            await request
        assert [(report[0], report[3]) for report in context.corruption] == [(text, True)]
        assert bool(file.data[79] & 2) == (version == "v3")
        for refused in (engine.read(0, 512), engine.write(0, b"z" * 512), driver.flush()):
            with pytest.raises(OSError, match="No medium found"):
                await refused
        await driver.close()

    asyncio.run(run())


def test_corruption_in_a_read_only_image_is_reported_once_and_not_marked() -> None:
    async def run() -> None:
        data = await sample()
        _, l2 = l1_and_l2(data)
        file = MemoryFile(edit(data, (l2, "Q", COPIED | 0x50200)))
        context = Context({"file": file}, read_only=True)
        engine = Engine(await Qcow2Driver.open(context))
        for _ in range(2):
            with pytest.raises(CorruptImage):
                await engine.read(0, 512)
        assert [report[3] for report in context.corruption] == [False]
        assert await engine.read(1 << 16, 512) == b"x" * 512
        assert not file.log

    asyncio.run(run())


async def use(data: bytes | bytearray, *, read_only: bool) -> None:
    """Open an image, read all of it, write into it; only errors that have a name may come out."""
    file = MemoryFile(data)
    try:
        driver = await Qcow2Driver.open(Context({"file": file}, read_only=read_only))
    except (QMPError, OSError):
        return
    engine = Engine(driver)
    size = min(driver.size, SIZE)
    for offset in range(0, size, 32 << 10):
        length = min(32 << 10, size - offset)
        try:
            await engine.read(offset, length)
            if not read_only:
                await engine.write(offset, b"w" * length)
                await engine.discard(*engine.whole_clusters(offset, length))
        except OSError:
            continue
    try:
        await driver.close()
    except OSError:
        return


WIDTHS = {"B": 8, "H": 16, "I": 32, "Q": 64}


def mutated(data: bytearray, rng: random.Random) -> bytearray:
    """Change some fields of the header and entries of the tables to values that hurt."""
    changed = bytearray(data)
    cluster = 1 << struct.unpack_from(">I", data, 20)[0]
    l1, l2 = l1_and_l2(data)
    places = [(rng.randrange(0, 112, 4), "I") for _ in range(2)]
    places += [(8 * rng.randrange(16), "Q"), (rng.randrange(112, 512), "B")]
    for table in (l1, l2, int.from_bytes(data[48:56], "big"), 2 * cluster):
        places.append((table + 8 * rng.randrange(min(cluster // 8, 20)), "Q"))
    for offset, code in rng.sample(places, rng.randrange(1, 4)):
        bits = WIDTHS[code]
        value = rng.choice(
            (
                0,
                1,
                (1 << bits) - 1,
                1 << rng.randrange(bits),
                rng.getrandbits(bits),
                rng.randrange(32) * cluster,
            )
        )
        struct.pack_into(f">{code}", changed, offset, value & ((1 << bits) - 1))
    return changed


@pytest.mark.parametrize("version", ["v2", "v3"])
@pytest.mark.parametrize("cluster_size", [512, 4096, 65536])
def test_random_damage_gives_a_named_error_or_data(version: str, cluster_size: int) -> None:
    data = make(**{"version": version, "cluster-size": cluster_size})
    rng = random.Random(cluster_size)
    for _ in range(120):
        asyncio.run(use(mutated(data, rng), read_only=rng.random() < 0.3))


def test_every_header_field_takes_every_hurtful_value() -> None:
    data = make(**{"cluster-size": 4096})
    for offset in range(0, 112, 4):
        for value in (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 4096, 0x10000000):
            asyncio.run(use(edit(data, (offset, "I", value)), read_only=False))


def test_an_image_cut_off_anywhere_gives_a_named_error_or_data() -> None:
    data = make(**{"cluster-size": 4096})
    for length in [*range(0, 120, 7), 512, *range(4096, len(data), 4096)]:
        asyncio.run(use(data[:length], read_only=length % 2 == 0))


def test_large_tables_in_a_small_file_take_memory_in_proportion() -> None:
    data = edit(make(), (36, "I", 4 << 20), (56, "I", 128), (24, "Q", 1 << 50), (40, "Q", 1 << 40))
    tracemalloc.start()
    asyncio.run(use(data, read_only=False))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 << 20


def test_damaged_compressed_data_is_an_input_output_error() -> None:
    async def run() -> None:
        data = await sample()
        _, l2 = l1_and_l2(data)
        for entry in (1 << 62 | 0x50000, 1 << 62 | 1 << 40, 1 << 62, (1 << 63) - 1):
            engine = Engine(
                await Qcow2Driver.open(Context({"file": MemoryFile(edit(data, (l2, "Q", entry)))}))
            )
            with pytest.raises(OSError, match="Input/output error"):
                await engine.read(0, 512)

    asyncio.run(run())


def test_table_entries_beyond_the_file_read_as_zeroes() -> None:
    async def run() -> None:
        data = await sample()
        l1, l2 = l1_and_l2(data)
        for where in (l1, l2):
            file = MemoryFile(edit(data, (where, "Q", COPIED | 1 << 40)))
            engine = Engine(await Qcow2Driver.open(Context({"file": file}, read_only=True)))
            assert await engine.read(0, 512) == bytes(512)

    asyncio.run(run())


def test_entries_are_stored_big_endian() -> None:
    data = make()
    l1, l2 = l1_and_l2(data)
    entries = array("Q", data[l2 : l2 + 32])
    entries.byteswap()
    assert list(entries) == [COPIED | l2 + 65536 * place for place in range(1, 5)]
    assert l1 == 0x30000
