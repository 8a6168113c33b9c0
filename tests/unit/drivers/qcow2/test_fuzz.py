"""Whatever is damaged in an image, use of it gives errors that have a name, or correct data, and no harm.

``scripts/fuzz`` goes on with this for as long as is wished.
"""

import asyncio
import tracemalloc

import pytest

from tests.torture.fields import ImageFields
from tests.torture.fuzz import fuzz
from tests.torture.specimens import KINDS, Specimen, make


@pytest.fixture(scope="module", params=KINDS, ids=str)
def specimen(request: pytest.FixtureRequest) -> Specimen:
    return asyncio.run(make(request.param))


def test_specimens_have_some_of_everything(specimen: Specimen) -> None:
    everything = ImageFields(specimen.files["file"])
    structures = set(everything.structures())
    assert {"header", "active L1 table", "active L2 table", "refcount table", "refcount block"} <= structures
    assert ("bitmap table" in structures) == (specimen.options.get("version") != "v2")
    assert ("snapshot table" in structures) == ("data-file" not in specimen.options)
    assert ("LUKS header" in structures) == ("encrypt" in specimen.options)


def test_damage_anywhere_does_no_harm(specimen: Specimen) -> None:
    fields = ImageFields(specimen.files["file"])
    assert sum(fuzz(specimen, fields, f"suite {number}") for number in range(12))


def test_a_damaged_image_takes_no_memory_out_of_proportion() -> None:
    specimen = asyncio.run(make(KINDS[0]))
    fields = ImageFields(specimen.files["file"])
    tracemalloc.start()
    for number in range(5):
        fuzz(specimen, fields, f"memory {number}")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 << 20
