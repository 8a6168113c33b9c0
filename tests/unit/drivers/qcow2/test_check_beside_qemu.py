"""Check and repair of images damaged anywhere count what ``qemu-img check`` counts, and leave what it calls sound.

Where it is known to do otherwise, it does harm: it overwrites guest data that a wrong table entry leads to.
``scripts/fuzz --peer`` goes on with this for as long as is wished.
"""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from qmpserver.driver_api.extras import CheckMode
from qmpserver.drivers.qcow2.driver import Qcow2Driver
from tests.torture.fields import ImageFields
from tests.torture.fuzz import Mutation
from tests.torture.repair import difference, our_check
from tests.torture.specimens import KINDS, Specimen, make

SEEDS = [100, 103, 109, 111, 116]
"""What is damaged; see :class:`Mutation`."""


@pytest.mark.parametrize("has_bitmaps", [False, True], ids=["snapshots", "bitmaps"])
@pytest.mark.parametrize("options", [KINDS[0], KINDS[3], KINDS[4], KINDS[5], KINDS[6]], ids=str)
def test_counts_and_repairs_are_qemus(tmp_path: Path, options: dict[str, Any], has_bitmaps: bool) -> None:
    specimen = asyncio.run(make(options, has_snapshots=not has_bitmaps, has_bitmaps=has_bitmaps))
    fields = ImageFields(specimen.files["file"])
    for seed in SEEDS:
        mutation = Mutation(specimen, fields, random.Random(str(seed)))
        fix = list(CheckMode)[seed % 3]
        assert difference(mutation, fix, tmp_path) is None, (mutation, fix)


def changed(specimen: Specimen, structure: str, name: str, value: int) -> bytearray:
    """Return the image with the first field of that name changed."""
    fields = ImageFields(specimen.files["file"]).structures()[structure]
    field = next(field for field in fields if field.name == name)
    data = bytearray(specimen.files["file"])
    data[field.offset : field.offset + field.bits // 8] = value.to_bytes(field.bits // 8, "big")
    return data


def test_a_repair_does_not_write_into_guest_data_that_a_wrong_entry_calls_a_table() -> None:
    specimen = asyncio.run(make(KINDS[6]))
    fields = ImageFields(specimen.files["file"])
    data_cluster = next(
        entry
        for field in fields.structures()["active L2 table"]
        if 0
        < (entry := int.from_bytes(specimen.files["file"][field.offset : field.offset + 8], "big"))
        < 1 << 56
    )
    damaged = changed(specimen, "snapshot L1 table", "0", data_cluster)
    before = bytes(damaged[data_cluster : data_cluster + fields.cluster_size])
    _, repaired = our_check(specimen, damaged, CheckMode.ALL)
    assert repaired[data_cluster : data_cluster + fields.cluster_size] == before


def test_the_clusters_of_the_keys_are_no_leaks_when_their_length_is_damaged() -> None:
    specimen = asyncio.run(make(KINDS[6]))
    at = specimen.files["file"].index(b"\x05\x37\xbe\x77") + 16
    damaged = bytearray(specimen.files["file"])
    damaged[at] = 0x10
    for fix in (CheckMode.LEAKS, CheckMode.ALL):
        counts, left = our_check(specimen, damaged, fix)
        assert counts is None
        assert left == damaged
    counts, _ = our_check(specimen, damaged, CheckMode.NONE)
    assert counts is not None
    assert counts["corruptions"]


@pytest.mark.parametrize(
    ("structure", "name", "value"), [("bitmap directory", "kind", 0), ("bitmap table", "0", 3)]
)
def test_an_image_with_a_damaged_bitmap_is_neither_checked_nor_repaired(
    tmp_path: Path, structure: str, name: str, value: int
) -> None:
    """So it is in QEMU: nobody knows what the bitmap refers to."""
    specimen = asyncio.run(make(KINDS[0], has_snapshots=False))
    damaged = changed(specimen, structure, name, value)
    for fix in CheckMode:
        assert our_check(specimen, damaged, fix) == (None, damaged)


def test_a_part_of_a_sector_at_the_end_of_the_disk_does_not_count() -> None:
    specimen = asyncio.run(make(KINDS[0]))
    counts, _ = our_check(specimen, changed(specimen, "header", "size", 4096 * 3 + 100), CheckMode.NONE)
    assert counts is not None
    assert counts["total-clusters"] == 3


def test_a_snapshot_of_a_disk_too_large_for_its_table_takes_no_memory() -> None:
    specimen = asyncio.run(make(KINDS[4]))

    async def run() -> None:
        children = specimen.children(file=changed(specimen, "snapshot table", "disk_size", 1 << 56))
        driver = await Qcow2Driver.open(specimen.context(children))
        with pytest.raises(OSError, match="File too large"):
            await driver.read_snapshot_vm_state("1", 0, memoryview(bytearray(100)))
        with pytest.raises(OSError, match="File too large"):
            await driver.apply_snapshot("1", None)

    asyncio.run(run())
