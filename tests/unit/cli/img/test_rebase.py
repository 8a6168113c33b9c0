"""A rebased image shows what it showed, over whatever it is put."""

import json
import random
from pathlib import Path

import pytest

from tests.images import qemu_img
from tests.unit.cli.img.disks import UNIT, fill, img, make, shown

KINDS = ("", "extended_l2=on,cluster_size=128k", "cluster_size=4k")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_rebased_to_longer_and_shorter_ones_and_to_none(
    tmp_path: Path, kind: str, compressed: bool
) -> None:
    rng = random.Random(kind)
    bases = [fill(make(tmp_path / f"base{units}", units), units, rng) for units in (12, 5, 16)]
    top = fill(make(tmp_path / "top", 14, backing=bases[0], options=kind), 14, rng)
    before = shown(top)
    asked = ["-c"] if compressed else []
    for base in (*bases[1:], bases[0]):
        assert img("rebase", *asked, "-b", base, "-F", "qcow2", top) == 0
        assert shown(top) == before
    assert img("rebase", *asked, "-b", "", top) == 0
    for base in bases:
        base.unlink()
    assert shown(top) == before


def test_only_what_the_layers_between_hold_is_taken_over_within_a_chain(tmp_path: Path) -> None:
    rng = random.Random(1)
    base = fill(make(tmp_path / "base", 16), 16, rng)
    middle = fill(make(tmp_path / "middle", 8, backing=base), 8, rng)
    top = make(tmp_path / "top", 16, backing=middle)
    before = shown(top)
    assert img("rebase", "-b", base, "-F", "qcow2", top) == 0
    assert shown(top) == before
    held = [
        run
        for run in json.loads(qemu_img("map", "-f", "qcow2", "--output=json", top))
        if run["depth"] == 0 and run["data"]
    ]
    stored = [
        run["start"]
        for run in json.loads(qemu_img("map", "-f", "qcow2", "--output=json", middle))
        if run["depth"] == 0
    ]
    assert held
    assert all(any(run["start"] >= start for start in stored) and run["start"] < 8 * UNIT for run in held)


def test_an_unsafe_rebase_only_stores_the_name(tmp_path: Path) -> None:
    base = fill(make(tmp_path / "base", 4), 4, random.Random(2))
    top = make(tmp_path / "top", 4, backing=base)
    size = top.stat().st_size
    assert img("rebase", "-u", "-b", "gone", "-F", "raw", top) == 0
    told = json.loads(qemu_img("info", "--output=json", "-f", "qcow2", top))
    assert (told["backing-filename"], told["backing-filename-format"]) == ("gone", "raw")
    assert top.stat().st_size == size


def test_a_new_backing_file_that_cannot_be_opened_changes_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    base = make(tmp_path / "base", 4)
    top = make(tmp_path / "top", 4, backing=base)
    before = top.read_bytes()
    assert img("rebase", "-b", tmp_path / "gone", "-F", "qcow2", top) == 1
    assert "Could not open new backing file" in capfd.readouterr().err
    assert top.read_bytes() == before
