"""The figures of migration change together or not at all; the texts are those of QEMU 11.1."""

from typing import Any

import pytest

from qmpserver.errors import QMPError
from qmpserver.machine.migration.parameters import Parameters


def node(name: str, alias: str, *bitmaps: tuple[str, str]) -> dict[str, Any]:
    return {
        "node-name": name,
        "alias": alias,
        "bitmaps": [{"name": one, "alias": other} for one, other in bitmaps],
    }


BAD_MAPPING = "Invalid mapping given for block-bitmap-mapping: The "
REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"downtime-limit": 2_000_001},
        "Option downtime-limit expects an integer in the range of 0 to (2000 * 1000) ms",
    ),
    ({"multifd-channels": 0}, "Option multifd-channels expects a value between 1 and 255"),
    ({"announce-initial": 100_001}, "Option announce-initial expects a value between 0 and 100000"),
    (
        {"cpu-throttle-initial": 0},
        "Option cpu-throttle-initial expects an integer in the range of 1 to 99",
    ),
    (
        {"max-cpu-throttle": 10},
        "Option max-cpu-throttle expects an integer in the range of cpu-throttle-initial to 99",
    ),
    (
        {"xbzrle-cache-size": 1},
        "Option xbzrle-cache-size expects a power of two no less than the target page size",
    ),
    ({"vcpu-dirty-limit": 0}, "Parameter 'vcpu-dirty-limit' must be greater than 1 MB/s"),
    (
        {"block-bitmap-mapping": [node("a", "x"), node("a", "y")]},
        BAD_MAPPING + "node name 'a' is mapped twice",
    ),
    (
        {"block-bitmap-mapping": [node("a", "x"), node("b", "x")]},
        BAD_MAPPING + "node alias 'x' is used twice",
    ),
    (
        {"block-bitmap-mapping": [node("a", "x", ("b", "c"), ("b", "d"))]},
        BAD_MAPPING + "bitmap 'a'/'b' is mapped twice",
    ),
    (
        {"block-bitmap-mapping": [node("a", "x", ("b", "c"), ("d", "c"))]},
        BAD_MAPPING + "bitmap alias 'x'/'c' is used twice",
    ),
    ({"block-bitmap-mapping": [node("a", "")]}, BAD_MAPPING + "node alias '' is not well-formed"),
    (
        {"block-bitmap-mapping": [node("a", "x" * 256)]},
        BAD_MAPPING + f"node alias '{'x' * 256}' is longer than 255 bytes",
    ),
    (
        {"block-bitmap-mapping": [node("a", "x", ("b", "c" * 256))]},
        BAD_MAPPING + f"bitmap alias '{'c' * 256}' is longer than 255 bytes",
    ),
]


@pytest.mark.parametrize(("wanted", "error"), REFUSED, ids=[error[:60] for _, error in REFUSED])
def test_what_cannot_be_is_refused_and_changes_nothing(wanted: dict[str, Any], error: str) -> None:
    parameters = Parameters()
    before = parameters.shown()
    with pytest.raises(QMPError) as refused:
        parameters.set({"announce-max": 1, **wanted})
    assert refused.value.description == error
    assert parameters.shown() == before


def test_a_mapping_is_shown_once_it_was_given() -> None:
    assert "block-bitmap-mapping" not in Parameters().shown()
    assert Parameters().bitmap_mapping is None
    parameters = Parameters()
    mapping = [node("a", "x", ("b", "c"))]
    parameters.set({"block-bitmap-mapping": mapping, "tls-creds": None, "downtime-limit": 5})
    assert parameters.shown()["block-bitmap-mapping"] == parameters.bitmap_mapping == mapping
    assert (parameters["tls-creds"], parameters["downtime-limit"]) == ("", 5)
