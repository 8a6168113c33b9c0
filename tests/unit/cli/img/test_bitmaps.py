"""Bitmaps that are copied along, and those that cannot be."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.images import qemu_img
from tests.unit.cli.img.disks import break_bitmap, img, make


def _bitmaps(path: Path) -> list[dict[str, Any]]:
    told = json.loads(qemu_img("info", "--output=json", "-f", "qcow2", path))
    found: list[dict[str, Any]] = told["format-specific"]["data"].get("bitmaps", [])
    return found


def test_a_broken_bitmap_is_refused_or_skipped(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source, target = make(tmp_path / "source", 4), tmp_path / "target"
    for name in ("good-one", "broken-one"):
        assert img("bitmap", "--add", source, name) == 0
    break_bitmap(source, "broken-one")
    assert img("convert", "--bitmaps", "-O", "qcow2", source, target) == 1
    assert capfd.readouterr().err == (
        "qmpserver img: Cannot copy inconsistent bitmap 'broken-one'\n"
        "Try --skip-broken-bitmaps, or use 'qemu-img bitmap --remove' to delete it.\n"
    )
    assert not target.exists()
    asked = ["--bitmaps", "--skip-broken-bitmaps"]
    assert img("convert", *asked, "-O", "qcow2", source, target) == 0
    assert capfd.readouterr().err == "qmpserver img: warning: Skipping inconsistent bitmap 'broken-one'\n"
    assert [found["name"] for found in _bitmaps(target)] == ["good-one"]


def test_a_copied_bitmap_marks_what_the_first_has_marked(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, target = make(tmp_path / "source", 16), tmp_path / "target"
    assert img("bitmap", "--add", "-g", "64k", source, "marks") == 0
    assert img("bench", "-q", "-w", "-c", "3", "-s", "64k", "-S", "128k", "-f", "qcow2", source) == 0
    assert img("convert", "--bitmaps", "-O", "qcow2", source, target) == 0
    # Merging says what is marked: nothing new comes to what the source's own bitmap has.
    for path in (source, target):
        assert img("bitmap", "--disable", path, "marks") == 0
    first, second = (_stored_bits(path) for path in (source, target))
    assert first == second
    assert first.count(1) == 3
    capfd.readouterr()


def _stored_bits(path: Path) -> list[int]:
    """Return the bits of the only bitmap, as they lie in the image: one table entry, one cluster."""
    data = path.read_bytes()
    at = data.rindex(b"marks") - 24
    table = int.from_bytes(data[at : at + 8], "big")
    cluster = int.from_bytes(data[table : table + 8], "big") & 0x00FF_FFFF_FFFF_FE00
    return [data[cluster + index // 8] >> index % 8 & 1 for index in range(16)]


def test_an_action_that_fails_leaves_what_those_before_it_have_done(tmp_path: Path) -> None:
    path = make(tmp_path / "image", 4)
    assert img("bitmap", "--add", "--merge", "none", path, "new") == 1
    assert [found["name"] for found in _bitmaps(path)] == ["new"]
    assert img("bitmap", "--remove-all", path) == 0
    assert _bitmaps(path) == []
