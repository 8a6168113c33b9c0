"""Looking at many entries at once, a check finds what it finds looking at them one by one."""

import asyncio
import itertools
import random
import struct
import sys
from array import array
from pathlib import Path
from typing import Any

import pytest

from qmpserver.driver_api.extras import CheckMode
from qmpserver.drivers.qcow2 import check_bulk
from qmpserver.drivers.qcow2.check_bulk import BulkEntries, expects_many
from qmpserver.drivers.qcow2.check_counts import LARGE, ClusterCounts
from qmpserver.drivers.qcow2.entries import COMPRESSED, COPIED, OFFSET_MASK, ZERO
from tests.contract.engine import MemoryFile
from tests.images import make_qcow2
from tests.unit.drivers.qcow2.damaging import KINDS, Damage, make_sample
from tests.unit.drivers.qcow2.test_check import Counts, check, our_check, our_repair

pytest.importorskip("numpy")

BITS = 16
SIZE = 1 << BITS


@pytest.fixture(scope="module", params=KINDS, ids=str)
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_sample(tmp_path_factory.mktemp("bulk") / "image.qcow2", request.param).read_bytes()


def _outcome(data: bytes | bytearray, fix: CheckMode) -> Any:
    try:
        return our_check(data) if fix is CheckMode.NONE else our_repair(data, fix)
    except OSError as error:
        return error.errno


@pytest.mark.parametrize("fix", [CheckMode.NONE, CheckMode.ALL], ids=str)
def test_damaged_images_are_judged_and_repaired_alike(
    sample: bytes, fix: CheckMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(len(sample))
    for _ in range(4):
        damaged = Damage(sample, rng).any()
        one_by_one = _outcome(damaged, fix)
        with monkeypatch.context() as patch:
            patch.setattr(check_bulk, "WORTHWHILE", 0)
            assert _outcome(damaged, fix) == one_by_one


def test_without_numpy_entries_are_looked_at_one_by_one(
    sample: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = our_check(sample)

    monkeypatch.setattr(check_bulk, "WORTHWHILE", 0)
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert our_check(sample) == expected


def bulk() -> BulkEntries:
    loaded = BulkEntries.load(BITS)
    assert loaded is not None
    return loaded


def test_what_is_not_plain_is_odd() -> None:
    entries = array("Q", [0, SIZE | COPIED, SIZE | COMPRESSED, SIZE | ZERO, 4 * SIZE, 3 * SIZE])
    assert bulk().odd(entries, COMPRESSED | ZERO, 4) == [2, 3, 4]


@pytest.mark.parametrize("spread", [1, 1000])
def test_clusters_are_counted_wherever_they_lie(spread: int) -> None:
    rng = random.Random(spread)
    clusters = [rng.randrange(1, 200) * spread for _ in range(150)]
    counts = ClusterCounts(200 * spread)
    entries = array("Q", [(cluster * SIZE) | COPIED for cluster in clusters])
    entries.insert(70, 0)
    result = bulk().count(entries, counts, 65535, 0)
    jumps = sum(after != before + 1 for before, after in itertools.pairwise(clusters))
    first = min(clusters)
    runs = ((first, max(clusters) + 1 - first, True),) if spread == 1 else None
    assert result == (150, jumps, (clusters[-1] + 1) * SIZE, runs)
    for cluster in set(clusters):
        assert counts.get(cluster) == clusters.count(cluster)


@pytest.mark.parametrize(("before", "maximum"), [(1, 1), (LARGE - 1, 65535), (LARGE, 65535), (400, 65535)])
def test_nothing_is_counted_when_a_count_would_be_too_high(before: int, maximum: int) -> None:
    counts = ClusterCounts(8)
    counts.put(5, before)
    assert bulk().count(array("Q", [4 * SIZE, 5 * SIZE]), counts, maximum, 0) is None
    assert (counts.get(4), counts.get(5)) == (0, before)


def test_an_entry_that_follows_the_one_before_the_stretch_is_no_jump() -> None:
    entries, runs = array("Q", [3 * SIZE | COPIED, 4 * SIZE]), ((3, 2, False),)
    assert bulk().count(entries, ClusterCounts(8), 65535, 3 * SIZE) == (2, 0, 5 * SIZE, runs)
    assert bulk().count(entries, ClusterCounts(8), 65535, 2 * SIZE) == (2, 1, 5 * SIZE, runs)
    assert bulk().count(array("Q", [0]), ClusterCounts(8), 65535, 2 * SIZE) == (0, 0, 2 * SIZE, ())


def test_flags_that_are_not_plainly_right_are_found() -> None:
    counts = ClusterCounts(4)
    counts.put(1, 1)
    counts.put(2, 2)
    words = [SIZE | COPIED, SIZE, 2 * SIZE | COPIED, 9 * SIZE | COPIED, 0, SIZE | COMPRESSED]
    assert bulk().not_single(array("Q", words), 1, counts) == [1, 2, 3]
    spaced = array("Q", [word for entry in words for word in (entry, 77)])
    assert bulk().not_single(spaced, 2, counts) == [2, 4, 6]


def test_a_fragmented_image_takes_the_short_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_sample(tmp_path / "image.qcow2", {"cluster_size": 4096}).read_bytes()
    used: list[int] = []
    original = BulkEntries.count

    def count(self: BulkEntries, *args: Any) -> Any:
        used.append(1)
        return original(self, *args)

    monkeypatch.setattr(check_bulk, "WORTHWHILE", 0)
    monkeypatch.setattr(BulkEntries, "count", count)
    result: Counts = our_check(data)
    assert used
    assert "corruptions" not in result
    assert asyncio.run(check(MemoryFile(data))).allocated_clusters


def turn_tables_round(image: bytearray, tables: int) -> None:
    """Have every table lead backwards through its clusters, so that none follows the one before."""
    (l1_offset,) = struct.unpack_from(">Q", image, 40)
    for (entry,) in struct.iter_unpack(">Q", image[l1_offset : l1_offset + 8 * tables]):
        offset = entry & OFFSET_MASK
        words = struct.unpack_from(">64Q", image, offset)
        struct.pack_into(">64Q", image, offset, *reversed(words))


def test_a_fragmented_image_takes_the_short_way_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_qcow2(tmp_path / "image.qcow2", "1M", cluster_size=512, preallocation="metadata")
    data = bytearray(path.read_bytes())
    tables = (1 << 20) // 512 // 64
    turn_tables_round(data, tables)
    used: list[int] = []
    original = BulkEntries.count

    def count(self: BulkEntries, *args: Any) -> Any:
        used.append(1)
        return original(self, *args)

    monkeypatch.setattr(check_bulk, "_TELLING", 2 * 64)
    monkeypatch.setattr(check_bulk, "WORTHWHILE", 8 * 64)
    monkeypatch.setattr(BulkEntries, "count", count)
    assert our_check(data)["fragmented-clusters"] == tables * 63
    assert len(used) == tables - 2


def test_a_flag_that_is_wrong_is_found_among_clusters_in_any_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_qcow2(tmp_path / "image.qcow2", "64k", cluster_size=512, preallocation="metadata")
    data = bytearray(path.read_bytes())
    turn_tables_round(data, 2)
    monkeypatch.setattr(check_bulk, "WORTHWHILE", 0)
    assert "corruptions" not in our_check(data)

    (l1_offset,) = struct.unpack_from(">Q", data, 40)
    (second_table,) = struct.unpack_from(">Q", data, l1_offset + 8)
    data[(second_table & OFFSET_MASK) + 8 * 17] &= 0x7F
    assert our_check(data)["corruptions"] == 1


@pytest.mark.parametrize(
    ("mixed", "tables", "all_tables", "expected"),
    [
        (0, 0, 256, False),
        (4095, 1, 256, False),  # so few say little
        (8192, 1, 256, True),
        (16384, 200, 256, False),
        (65535, 256, 256, False),
        (65536, 256, 256, True),
        (65536, 300, 256, True),  # a snapshot's tables came before
    ],
)
def test_many_entries_are_expected_when_it_goes_on_as_it_has_begun(
    mixed: int, tables: int, all_tables: int, expected: bool
) -> None:
    assert expects_many(mixed, tables, all_tables) is expected
