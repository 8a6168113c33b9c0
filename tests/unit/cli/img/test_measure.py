"""What is measured is what an image takes that is really made."""

import json
import random
from pathlib import Path

import pytest

from tests.images import qemu_img
from tests.unit.cli.img.disks import UNIT, break_bitmap, fill, img, make

KINDS = ("", "cluster_size=4k", "extended_l2=on", "refcount_bits=64", "compat=0.10")


def _measured(capfd: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, int]:
    capfd.readouterr()
    assert img("measure", "--output", "json", "-O", "qcow2", *words) == 0
    found: dict[str, int] = json.loads(capfd.readouterr().out)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_preallocated_image_is_as_large_as_was_measured(
    tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "image"
    asked = ["-o", kind] if kind else []
    told = _measured(capfd, *asked, "--size", "20M")
    make(path, 20 * 16, options=f"{kind},preallocation=full".removeprefix(","))
    assert path.stat().st_size <= told["fully-allocated"] <= path.stat().st_size + 4 * UNIT


@pytest.mark.parametrize("kind", KINDS)
def test_a_converted_image_is_no_larger_than_was_measured(
    tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(kind)
    base = fill(make(tmp_path / "base", 10), 10, rng)
    source, target = fill(make(tmp_path / "source", 30, backing=base), 30, rng), tmp_path / "target"
    asked = ["-o", kind] if kind else []
    told = _measured(capfd, *asked, source)
    assert img("convert", *asked, "-O", "qcow2", source, target) == 0
    assert target.stat().st_size <= told["required"] < target.stat().st_size + 12 * UNIT


def test_a_broken_bitmap_is_not_measured_as_it_is_not_copied(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = make(tmp_path / "source", 4)
    assert img("bitmap", "--add", source, "good-one") == 0
    good = _measured(capfd, source)["bitmaps"]
    assert img("bitmap", "--add", source, "broken-one") == 0
    assert _measured(capfd, source)["bitmaps"] > good > 0
    break_bitmap(source, "broken-one")
    assert _measured(capfd, source)["bitmaps"] == good


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_measured_as_qemu_measures_it(
    tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    source = fill(make(tmp_path / "source", 30, options=kind), 30, random.Random(kind))
    assert _measured(capfd, source) == json.loads(qemu_img("measure", "--output=json", "-O", "qcow2", source))
