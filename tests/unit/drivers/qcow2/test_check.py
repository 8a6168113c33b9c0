"""What a check finds and puts right, beside ``qemu-img check``."""

import asyncio
import contextlib
import json
import random
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from qmpserver.driver_api.check_result import CheckResult
from qmpserver.driver_api.extras import CheckMode, SupportsCheck
from qmpserver.drivers.qcow2.driver import Qcow2Driver
from qmpserver.errors import QMPError
from tests.contract.engine import Context, Engine, MemoryFile
from tests.contract.power import after_power_cut
from tests.images import judge, make_qcow2, qemu_check, qemu_img, qemu_io
from tests.peers import need
from tests.unit.drivers.qcow2.damaging import KINDS, Damage, make_sample
from tests.unit.drivers.qcow2.test_damage import mutated

MiB = 1 << 20
Counts = dict[str, Any]


@pytest.fixture(scope="module", params=KINDS, ids=str)
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_sample(tmp_path_factory.mktemp("check") / "image.qcow2", request.param).read_bytes()


async def check(file: MemoryFile, fix: CheckMode = CheckMode.NONE) -> CheckResult:
    driver: SupportsCheck = await Qcow2Driver.open_for_check(
        Context({"file": file}, read_only=fix is CheckMode.NONE)
    )
    return await driver.check(fix)


def as_counts(result: CheckResult) -> Counts:
    """Return what is not zero, under the names of ``qemu-img check``."""
    return {name.replace("_", "-"): value for name, value in asdict(result).items() if value}


def our_check(data: bytes | bytearray) -> Counts:
    return as_counts(asyncio.run(check(MemoryFile(data))))


def our_repair(data: bytes | bytearray, fix: CheckMode) -> tuple[Counts, bytearray]:
    """Repair, and check again what was repaired, as ``qemu-img check -r`` does."""

    async def run() -> tuple[CheckResult, bytearray]:
        file = MemoryFile(data)
        result = await check(file, fix)
        fixed = (result.corruptions_fixed, result.leaks_fixed)
        if any(fixed):
            result = await check(file)
            result.corruptions_fixed, result.leaks_fixed = fixed
        return result, file.data

    result, repaired = asyncio.run(run())
    return as_counts(result), repaired


def their_check(path: Path, *options: str) -> Counts | None:
    """Return what ``qemu-img check`` counts; None when it gives up."""
    command: list[str | Path] = [need("qemu-img"), "check", "-f", "qcow2", "--output=json", *options, path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 1:
        return None
    counts: Counts = json.loads(done.stdout)
    return {name: value for name, value in counts.items() if value and name not in {"filename", "format"}}


def test_all_counts_of_a_good_image_are_qemus(tmp_path: Path, sample: bytes) -> None:
    image = tmp_path / "image.qcow2"
    image.write_bytes(sample)
    assert our_check(sample) == their_check(image)


def test_all_counts_of_damaged_images_are_qemus(tmp_path: Path, sample: bytes) -> None:
    image = tmp_path / "image.qcow2"
    rng = random.Random(len(sample))
    for _ in range(25):
        damaged = Damage(sample, rng).any()
        image.write_bytes(damaged)
        theirs = their_check(image)
        if theirs is not None:
            assert our_check(damaged) == theirs


def test_leaks_are_repaired_as_by_qemu(tmp_path: Path, sample: bytes) -> None:
    image = tmp_path / "image.qcow2"
    rng = random.Random(len(sample))
    for _ in range(10):
        damaged = Damage(sample, rng).counts(2)
        ours, _ = our_repair(damaged, CheckMode.LEAKS)
        image.write_bytes(damaged)
        theirs = their_check(image, "-r", "leaks")
        if theirs is not None:
            assert ours == theirs


def without_end(counts: Counts) -> Counts:
    return {name: value for name, value in counts.items() if name != "image-end-offset"}


def test_wrong_counts_are_repaired_as_by_qemu(tmp_path: Path, sample: bytes) -> None:
    """A count of zero makes QEMU write all counts to a new place, which moves the end of the image."""
    image = tmp_path / "image.qcow2"
    rng = random.Random(len(sample))
    for _ in range(15):
        damaged = Damage(sample, rng).counts(3)
        ours, repaired = our_repair(damaged, CheckMode.ALL)
        image.write_bytes(damaged)
        theirs = their_check(image, "-r", "all")
        assert theirs is not None
        assert without_end(ours) == without_end(theirs)
        image.write_bytes(repaired)
        assert qemu_check(image) == {}


def test_qemu_agrees_that_what_was_repaired_is_sound(tmp_path: Path, sample: bytes) -> None:
    image = tmp_path / "image.qcow2"
    rng = random.Random(len(sample))
    for _ in range(25):
        damaged = Damage(sample, rng).any()
        image.write_bytes(damaged)
        if their_check(image) is None:
            continue
        ours, repaired = our_repair(damaged, CheckMode.ALL)
        image.write_bytes(repaired)
        left = their_check(image)
        assert left == {name: value for name, value in ours.items() if "fixed" not in name}


@pytest.mark.parametrize("width", [1, 2, 4, 8, 16, 32, 64])
@pytest.mark.parametrize("cluster_size", [512, 4096, 65536])
def test_lost_refcount_structures_are_made_anew(tmp_path: Path, cluster_size: int, width: int) -> None:
    image = make_qcow2(tmp_path / "image.qcow2", "4M", cluster_size=cluster_size, refcount_bits=width)
    qemu_io(image, "write -P 17 0 3M", "write -P 34 3500k 100k")
    data = bytearray(image.read_bytes())
    table = int.from_bytes(data[48:56], "big")
    data[table : table + cluster_size] = bytes(cluster_size)
    ours, repaired = our_repair(data, CheckMode.ALL)
    assert ours["corruptions-fixed"]
    assert not {"corruptions", "leaks", "check-errors"} & ours.keys()
    image.write_bytes(repaired)
    assert qemu_check(image) == {}
    qemu_io(image, "read -P 17 0 3M", "read -P 34 3500k 100k", "write -P 51 1M 3M")
    assert qemu_check(image) == {}


def test_an_image_whose_refcount_table_has_no_clusters_is_only_good_for_checking(tmp_path: Path) -> None:
    image = make_qcow2(tmp_path / "image.qcow2", "4M", cluster_size=4096)
    qemu_io(image, "write -P 17 0 3M")
    data = bytearray(image.read_bytes())
    data[56:60] = bytes(4)
    image.write_bytes(data)
    with pytest.raises(QMPError, match="does not contain a reference count table"):
        asyncio.run(Qcow2Driver.open(Context({"file": MemoryFile(data)})))
    assert our_check(data) == their_check(image)

    ours, repaired = our_repair(data, CheckMode.ALL)
    assert ours == their_check(image, "-r", "all")
    image.write_bytes(repaired)
    assert qemu_check(image) == {}
    qemu_io(image, "read -P 17 0 3M")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("broken", [False, True])
def test_a_power_cut_during_a_repair_leaves_something_to_repair(
    tmp_path: Path, seed: int, broken: bool
) -> None:
    image = make_sample(tmp_path / "image.qcow2", {"cluster_size": 512})
    expected = qemu_read(image)
    rng = random.Random(seed)
    damage = Damage(image.read_bytes(), rng)
    damaged = damage.counts(4)
    if broken:
        table = int.from_bytes(damaged[48:56], "big")
        damaged[table : table + 8] = bytes(8)

    async def run() -> list[tuple[Any, ...]]:
        file = MemoryFile(damaged)
        await check(file, CheckMode.ALL)
        return file.log

    log = asyncio.run(run())
    for cut in range(len(log) + 1):
        left = after_power_cut(bytes(damaged), log, cut, rng)
        ours, repaired = our_repair(left, CheckMode.ALL)
        assert not {"corruptions", "leaks", "check-errors"} & ours.keys()
        assert judge(repaired) == ([], 0)
    image.write_bytes(repaired)
    assert qemu_read(image) == expected


def qemu_read(path: Path) -> bytes:
    raw = path.with_suffix(".raw")
    qemu_img("convert", "-f", "qcow2", "-O", "raw", path, raw)
    return raw.read_bytes()


def test_leaks_only_are_left_alone_unless_they_are_to_be_repaired() -> None:
    async def run() -> None:
        file = MemoryFile()
        await Qcow2Driver.create(file, {"size": MiB})
        file.data.extend(bytes(MiB))
        block = 0x20000
        file.data[block + 2 * 9 : block + 2 * 12] = b"\0\1" * 3
        before = bytes(file.data)
        assert as_counts(await check(file))["leaks"] == 3
        assert file.data == before
        assert (await check(file, CheckMode.LEAKS)).leaks_fixed == 3
        assert "leaks" not in as_counts(await check(file))

    asyncio.run(run())


def test_the_corrupt_mark_goes_when_nothing_is_wrong_any_more() -> None:
    async def run() -> None:
        file = MemoryFile()
        await Qcow2Driver.create(file, {"size": MiB})
        file.data[79] = 3
        await check(file)
        assert file.data[79] == 3
        await check(file, CheckMode.ALL)
        assert file.data[79] == 0

    asyncio.run(run())


def test_an_image_in_use_is_checked_as_it_is_now() -> None:
    async def run() -> None:
        file = MemoryFile()
        await Qcow2Driver.create(file, {"size": 4 * MiB, "cluster-size": 4096})
        driver = await Qcow2Driver.open(Context({"file": file}))
        engine = Engine(driver)
        await engine.write(0, b"x" * MiB)
        found = await driver.check(CheckMode.NONE)
        assert (found.allocated_clusters, found.corruptions, found.leaks) == (256, 0, 0)
        reftable = int.from_bytes(file.data[48:56], "big")
        file.data[reftable : reftable + 8] = bytes(8)
        assert (await driver.check(CheckMode.ALL)).corruptions_fixed
        await engine.write(2 * MiB, b"y" * MiB)
        assert await engine.read(0, MiB) == b"x" * MiB
        await driver.close()
        assert judge(file.data) == ([], 0)

    asyncio.run(run())


@pytest.mark.parametrize("extra", [0, 8, 16, 24, 1024, 1025, 3000])
@pytest.mark.parametrize("compat", ["0.10", "1.1"])
def test_snapshot_tables_are_checked_and_rewritten_as_by_qemu(
    tmp_path: Path, compat: str, extra: int
) -> None:
    image = make_qcow2(tmp_path / "image.qcow2", "1M", compat=compat)
    qemu_io(image, "write -P 7 0 256k")
    qemu_img("snapshot", "-c", "one", image)
    data = bytearray(image.read_bytes())
    table = int.from_bytes(data[64:72], "big")
    name = data[table + 64 : table + 68]
    data[table + 36 : table + 40] = extra.to_bytes(4, "big")
    known = bytes(data[table + 40 : table + 64])[:extra].ljust(extra, b"\1")
    data[table + 40 : table + 44 + extra] = known + name
    image.write_bytes(data)
    theirs = their_check(image)
    if theirs is None:
        with pytest.raises(OSError, match="File too large"):
            our_check(data)
    else:
        assert our_check(data) == theirs
    ours, repaired = our_repair(data, CheckMode.ALL)
    theirs = their_check(image, "-r", "all")
    assert theirs is not None
    assert without_end(ours) == without_end(theirs)
    image.write_bytes(repaired)
    assert qemu_check(image) == {}
    qemu_img("snapshot", "-a", "one", image)
    qemu_io(image, "read -P 7 0 256k")


def test_clusters_of_persistent_bitmaps_are_counted(tmp_path: Path) -> None:
    image = make_qcow2(tmp_path / "image.qcow2", "64M", cluster_size=4096)
    for name in ("first", "the second one"):
        qemu_img("bitmap", "--add", "-f", "qcow2", "-g", "512", image, name)
    qemu_io(image, "write -P 1 0 5M", "write -P 2 40M 1M")
    data = bytearray(image.read_bytes())
    assert our_check(data) == their_check(image)
    data[95] = 0
    image.write_bytes(data)
    ours = our_check(data)
    assert ours["leaks"]
    assert ours == their_check(image)


def test_damage_gives_a_named_error_or_a_result(sample: bytes) -> None:
    async def use(data: bytearray) -> None:
        file = MemoryFile(data)
        with contextlib.suppress(OSError, QMPError):
            await check(file)
            await check(file, CheckMode.LEAKS)
            await check(file, CheckMode.ALL)

    for seed in range(40):
        rng = random.Random(seed)
        asyncio.run(use(mutated(bytearray(sample), rng) if seed % 2 else Damage(sample, rng).any()))


@pytest.mark.parametrize("extended", ["off", "on"])
def test_an_image_with_a_data_file_is_checked_as_by_qemu(tmp_path: Path, extended: str) -> None:
    image = tmp_path / "image.qcow2"
    make_qcow2(image, "1M", data_file=tmp_path / "data", cluster_size=16384, extended_l2=extended)
    qemu_io(image, "write -P 1 0 256k", "write -z 128k 64k", "write -P 2 700k 4k", "discard 64k 64k")
    start = image.read_bytes()

    async def run(data: bytearray) -> Counts:
        children = {"file": MemoryFile(data), "data-file": MemoryFile(bytes(MiB))}
        driver = await Qcow2Driver.open_for_check(Context(children, read_only=True))
        return as_counts(await driver.check(CheckMode.NONE))

    assert asyncio.run(run(bytearray(start))) == their_check(image)
    rng = random.Random(1)
    for _ in range(15):
        damaged = Damage(start, rng).mappings(2)
        image.write_bytes(damaged)
        assert asyncio.run(run(damaged)) == their_check(image)
