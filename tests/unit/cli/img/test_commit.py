"""A committed image's content is in the image below it, whichever that is."""

import json
import random
from pathlib import Path

import pytest

from tests.images import qemu_img
from tests.unit.cli.img.disks import UNIT, fill, img, make, shown


@pytest.mark.parametrize("sizes", [(8, 8, 8), (4, 10, 16), (16, 12, 8)])
@pytest.mark.parametrize("into_base", [False, True])
def test_content_moves_down_and_still_shows(
    tmp_path: Path, sizes: tuple[int, int, int], into_base: bool
) -> None:
    rng = random.Random(str(sizes))
    base = fill(make(tmp_path / "base", sizes[0]), sizes[0], rng)
    middle = fill(make(tmp_path / "middle", sizes[1], backing=base), sizes[1], rng)
    top = fill(make(tmp_path / "top", sizes[2], backing=middle), sizes[2], rng)
    before = shown(top)
    target = base if into_base else middle
    asked: list[str | Path] = ["-b", base] if into_base else []
    assert img("commit", "-q", *asked, top) == 0
    assert shown(target)[: len(before)] == before
    assert shown(top) == before


def test_an_emptied_image_holds_nothing_and_one_that_is_not_dropped_all(tmp_path: Path) -> None:
    base = make(tmp_path / "base", 4)
    top = fill(make(tmp_path / "top", 4, backing=base), 4, random.Random(3))

    def held() -> int:
        told = json.loads(qemu_img("map", "-f", "qcow2", "--output=json", top))
        return sum(run["length"] for run in told if run["depth"] == 0)

    before = held()
    assert before
    assert img("commit", "-q", "-d", top) == 0
    assert held() == before
    assert img("commit", "-q", top) == 0
    assert held() == 0


def test_a_raw_base_grows_with_the_image(tmp_path: Path) -> None:
    base, top = tmp_path / "base", tmp_path / "top"
    base.write_bytes(b"b" * UNIT)
    assert img("create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", top, str(3 * UNIT)) == 0
    assert img("commit", "-q", fill(top, 3, random.Random(4))) == 0
    assert base.read_bytes() == shown(top)
    assert base.stat().st_size == 3 * UNIT
