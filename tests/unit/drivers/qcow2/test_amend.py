"""Version, width of the reference counts and other options changed after creation, beside ``qemu-img amend``."""

import asyncio
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.extras import SnapshotInfo, SupportsAmend
from qmpserver.drivers.qcow2 import extensions as ext
from qmpserver.drivers.qcow2.driver import Qcow2Driver
from qmpserver.drivers.qcow2.header import Header
from qmpserver.errors import QMPError
from tests.contract.engine import Context, Engine, MemoryFile
from tests.contract.power import after_power_cut
from tests.images import judge, make_qcow2, qemu_check, qemu_img, qemu_io
from tests.peers import need

SIZE = 1 << 20


async def open_image(file: MemoryFile, backing: MemoryFile | None = None) -> Qcow2Driver:
    children: dict[str, BlockChild] = {"file": file}
    if backing is not None:
        children["backing"] = backing
    return await Qcow2Driver.open(Context(children))


async def amend(data: bytes, backing: MemoryFile | None = None, **options: Any) -> MemoryFile:
    """Amend a copy of an image, and check that it still reads the same."""
    file = MemoryFile(data)
    driver = await open_image(file, backing)
    before = await Engine(driver, backing).read(0, driver.size)
    assert isinstance(driver, SupportsAmend)
    await driver.amend({name.replace("_", "-"): value for name, value in options.items()})
    size = min(driver.size, len(before))
    assert await Engine(driver, backing).read(0, size) == before[:size]
    await driver.close()
    return file


def amend_file(path: Path, **options: Any) -> None:
    path.write_bytes(asyncio.run(amend(path.read_bytes(), **options)).data)


def sample(path: Path, **options: Any) -> Path:
    """Make an image with data, zeroes of both kinds, compressed clusters and two snapshots."""
    make_qcow2(path, "1M", **options)
    qemu_io(path, "write -P 1 0 300k", "write -P 2 600k 100k")
    if options.get("compat") != "0.10":
        qemu_io(path, "write -z 100k 64k", "write -z -u 640k 16k", "write -z 900k 32k")
    qemu_img("snapshot", "-c", "one", path)
    qemu_io(path, "write -P 3 200k 64k", "write -c -P 4 512k 64k")
    qemu_img("snapshot", "-c", "two", path)
    qemu_io(path, "write -P 5 250k 64k")
    return path


def contents(path: Path) -> list[bytes]:
    """Return what QEMU reads from the image and from its snapshots."""
    raw, read = path.with_suffix(".raw"), []
    for option in ([], ["-l", "one"], ["-l", "two"]):
        qemu_img("convert", *option, "-f", "qcow2", "-O", "raw", path, raw)
        read.append(raw.read_bytes())
    return read


@pytest.mark.parametrize("cluster_size", [512, 4096, 65536])
def test_an_image_goes_down_to_version_2_and_up_again(tmp_path: Path, cluster_size: int) -> None:
    image = sample(tmp_path / "image.qcow2", cluster_size=cluster_size)
    expected = contents(image)
    for version, compat in (("v2", "0.10"), ("v3", "1.1")):
        amend_file(image, version=version)
        assert f'"compat": "{compat}"' in qemu_img("info", "--output=json", image)
        assert qemu_check(image) == {}
        assert contents(image) == expected
    qemu_img("amend", "-f", "qcow2", "-o", "compat=0.10", image)
    amend_file(image, version="v3", refcount_bits=64, lazy_refcounts=True)
    qemu_io(image, "write -P 9 0 1M")
    assert qemu_check(image) == {}
    assert contents(image)[1:] == expected[1:]


@pytest.mark.parametrize("cluster_size", [512, 4096])
def test_zeroes_go_on_hiding_the_backing_file_in_version_2(tmp_path: Path, cluster_size: int) -> None:
    base = tmp_path / "base"
    base.write_bytes(random.Random(1).randbytes(SIZE))
    options = {"backing_file": base, "backing_fmt": "raw", "cluster_size": cluster_size}
    image = sample(tmp_path / "image.qcow2", **options)
    expected = contents(image)
    backing = MemoryFile(base.read_bytes())
    image.write_bytes(asyncio.run(amend(image.read_bytes(), backing, version="v2")).data)
    assert qemu_check(image) == {}
    assert contents(image) == expected
    qemu_img("amend", "-f", "qcow2", "-o", "compat=1.1", image)
    assert qemu_check(image) == {}


@pytest.mark.parametrize(
    ("cluster_size", "width"), [(512, 16), (512, 64), (65536, 4), (65536, 8), (65536, 16), (65536, 64)]
)
def test_reference_counts_take_another_width(tmp_path: Path, cluster_size: int, width: int) -> None:
    image = sample(tmp_path / "image.qcow2", cluster_size=cluster_size, refcount_bits=32)
    expected = contents(image)
    amend_file(image, refcount_bits=width)
    assert f'"refcount-bits": {width}' in qemu_img("info", "--output=json", image)
    assert qemu_check(image) == {}
    assert contents(image) == expected


def test_the_image_stays_in_use_after_it_was_amended() -> None:
    async def run() -> None:
        file = MemoryFile()
        await Qcow2Driver.create(file, {"size": SIZE, "cluster-size": 512, "version": "v2"})
        driver = await open_image(file)
        engine = Engine(driver)
        await engine.write(0, b"x" * (SIZE // 2))
        await driver.amend({"version": "v3", "refcount-bits": 1, "size": 2 * SIZE})
        await engine.write(SIZE // 4, b"y" * SIZE)
        await engine.zero(0, 512)
        await driver.amend({"refcount-bits": 16, "version": "v2"})
        await driver.create_snapshot(SnapshotInfo("", "one"))
        await engine.write(512, b"z" * 512)
        expected = bytes(512) + b"z" * 512 + b"x" * (SIZE // 4 - 1024) + b"y" * SIZE
        assert await engine.read(0, 2 * SIZE) == expected.ljust(2 * SIZE, b"\0")
        await driver.close()
        assert judge(file.data) == ([], 0)

    asyncio.run(run())


REFUSALS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"compat": "0.10"}, {"lazy_refcounts": True}, "lazy_refcounts=on"),
    ({"compat": "0.10"}, {"refcount_bits": 8}, "refcount_bits=8"),
    ({"refcount_bits": 64}, {"version": "v2"}, "compat=0.10"),
    ({}, {"version": "v2", "refcount_bits": 8}, "compat=0.10,refcount_bits=8"),
    ({}, {"refcount_bits": 3}, "refcount_bits=3"),
    ({"extended_l2": "on"}, {"version": "v2"}, "compat=0.10"),
    ({}, {"backing_file": "other"}, "backing_file=other"),
    ({}, {"backing_fmt": "raw"}, "backing_fmt=raw"),
    ({}, {"refcount_bits": 1}, "refcount_bits=1"),
    ({}, {"data_file": "other"}, "data_file=other"),
    ({}, {"data_file_raw": True}, "data_file_raw=on"),
]


@pytest.mark.parametrize(("created", "options", "theirs"), REFUSALS, ids=[row[2] for row in REFUSALS])
def test_what_cannot_be_had_is_refused_in_qemus_words(
    tmp_path: Path, created: dict[str, Any], options: dict[str, Any], theirs: str
) -> None:
    image = make_qcow2(tmp_path / "image.qcow2", "1M", **created)
    qemu_io(image, "write 0 64k")
    qemu_img("snapshot", "-c", "one", image)
    before = image.read_bytes()
    with pytest.raises(QMPError) as caught:
        asyncio.run(amend(before, **options))
    command: list[str | Path] = [need("qemu-img"), "amend", "-f", "qcow2", "-o", theirs, image]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert caught.value.description in done.stderr
    assert image.read_bytes() == before


async def amend_data_file(**options: Any) -> tuple[str | None, bool, list[int]]:
    """Amend an image with a raw data file; return its name, whether it is raw, and the extensions there are."""
    file, data = MemoryFile(), MemoryFile()
    await Qcow2Driver.create(file, {"size": SIZE, "data-file": data, "data-file-raw": True})
    driver = await Qcow2Driver.open(Context({"file": file, "data-file": data}))
    await driver.amend(options)
    await driver.close()
    again = await Qcow2Driver.open(Context({"file": file, "data-file": data}))
    told = again.image_info()["format-specific"]["data"]
    header = Header.parse(bytes(file.data[:112]))
    extensions = ext.parse_extensions(bytes(file.data[: header.cluster_size]), header)
    assert judge(file.data) == ([], 0)
    return told.get("data-file"), told["data-file-raw"], [one.kind for one in extensions]


@pytest.mark.parametrize(
    ("options", "name", "is_raw"),
    [
        ({"data-file": "other.raw"}, "other.raw", True),
        ({"data-file": ""}, None, True),
        ({"data-file-raw": False}, MemoryFile.filename, False),
        ({"data-file-raw": True}, MemoryFile.filename, True),
        ({"data-file": "x" * 300, "data-file-raw": False, "size": 2 * SIZE}, "x" * 300, False),
    ],
    ids=str,
)
def test_the_data_files_name_changes_as_with_qemu_img(
    options: dict[str, Any], name: str | None, is_raw: bool
) -> None:
    stored, raw, kinds = asyncio.run(amend_data_file(**options))
    assert (stored, raw) == (name, is_raw)
    assert (ext.DATA_FILE in kinds) is (name is not None)


def test_a_data_files_name_that_does_not_fit_changes_nothing() -> None:
    with pytest.raises(OSError, match="No space left"):
        asyncio.run(amend_data_file(**{"data-file": "x" * 600}))


def test_what_only_creation_decides_is_refused_by_name() -> None:
    async def run() -> None:
        file = MemoryFile()
        await Qcow2Driver.create(file, {"size": SIZE})
        driver = await open_image(file)
        with pytest.raises(QMPError, match="Invalid parameter 'cluster-size'"):
            await driver.amend({"cluster-size": 4096})

    asyncio.run(run())


@pytest.mark.parametrize(
    "options",
    [{"version": "v2"}, {"refcount_bits": 8}, {"version": "v2", "lazy_refcounts": False}, {"size": 2 * SIZE}],
    ids=str,
)
@pytest.mark.parametrize("cluster_size", [512, 4096])
def test_a_power_cut_leaves_a_whole_image(tmp_path: Path, cluster_size: int, options: dict[str, Any]) -> None:
    start = sample(tmp_path / "image.qcow2", cluster_size=cluster_size).read_bytes()
    if options.get("version"):
        # The same way back.
        check_power_cuts(asyncio.run(amend(start, version="v2")).data, {"version": "v3"})
    check_power_cuts(start, {"size": SIZE} | options)


def check_power_cuts(start: bytes | bytearray, options: dict[str, Any]) -> None:
    rng = random.Random(1)

    async def run() -> None:
        expected = await read(bytearray(start))
        file = await amend(bytes(start), **options)
        cuts = range(len(file.log) + 1)
        for cut in cuts if len(cuts) < 120 else sorted(rng.sample(cuts, 120)):
            left = after_power_cut(bytes(start), file.log, cut, rng)
            assert not judge(left).corruptions
            assert (await read(left))[:SIZE] == expected

    asyncio.run(run())


async def read(data: bytearray) -> bytes:
    driver = await Qcow2Driver.open(Context({"file": MemoryFile(data)}, read_only=True))
    assert [one.name for one in driver.snapshots] == ["one", "two"]
    return await Engine(driver).read(0, driver.size)
