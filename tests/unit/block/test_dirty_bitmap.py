"""Bitmaps in bytes: what is marked, what is found, and how QEMU would digest it."""

import pytest

from qmpserver.block.dirty_bitmap import DirtyBitmap

KiB = 1024


def test_a_mark_covers_every_granule_that_the_range_touches() -> None:
    bitmap = DirtyBitmap(10_000, 1024)
    bitmap.set(1023, 2)
    bitmap.set(9_999, 500)
    bitmap.set(5_000, 0)
    bitmap.set(20_000, 5)
    assert list(bitmap.areas()) == [(0, 2048), (9216, 784)]
    assert bitmap.count == 3 * 1024


def test_only_whole_granules_are_unmarked_and_the_last_ends_with_the_node() -> None:
    bitmap = DirtyBitmap(10_000, 1024)
    bitmap.set(0, 10_000)
    bitmap.reset(1, 3000)
    bitmap.reset(9_000, 1000)
    assert list(bitmap.areas()) == [(0, 1024), (2048, 7168)]


def test_an_area_is_cut_to_the_range_and_the_length_asked_for() -> None:
    bitmap = DirtyBitmap(64 * KiB, 4 * KiB)
    bitmap.set(8 * KiB, 16 * KiB)
    assert bitmap.next_dirty_area(0, 64 * KiB) == (8 * KiB, 16 * KiB)
    assert bitmap.next_dirty_area(10_000, 64 * KiB, 4096) == (10_000, 4096)
    assert bitmap.next_dirty_area(0, 12 * KiB) == (8 * KiB, 4 * KiB)
    assert bitmap.next_dirty_area(0, 8 * KiB) is None
    assert bitmap.next_clean(9_000, 64 * KiB) == 24 * KiB
    assert bitmap.next_clean(9_000, 24 * KiB) is None


def test_granularities_differ_in_a_merge() -> None:
    fine, coarse = DirtyBitmap(10_000, 512), DirtyBitmap(10_000, 4096)
    fine.set(4096, 1)
    coarse.merge(fine)
    assert list(coarse.areas()) == [(4096, 4096)]
    fine.clear()
    fine.merge(coarse)
    assert list(fine.areas()) == [(4096, 4096)]


def test_a_size_that_changes_keeps_what_is_still_there() -> None:
    bitmap = DirtyBitmap(8192, 1024)
    bitmap.set(0, 8192)
    bitmap.resize(16384)
    assert list(bitmap.areas()) == [(0, 8192)]
    bitmap.resize(1500)
    assert list(bitmap.areas()) == [(0, 1500)]
    bitmap.resize(4096)
    assert list(bitmap.areas()) == [(0, 2048)]


@pytest.mark.parametrize(
    ("size", "marks", "digest"),
    [
        (10 << 20, [], "9d908ecfb6b256def8b49a7c504e6c889c4b0e41fe6ce3e01863dd7b61a20aa0"),
        (0, [], "af5570f5a1810b7af78caf4bc70a660f0df51e42baf91d4de5b2328de0e83dfc"),
    ],
)
def test_the_digest_is_qemus(size: int, marks: list[tuple[int, int]], digest: str) -> None:
    """Recorded from QEMU 11.1."""
    bitmap = DirtyBitmap(size, 65536)
    for offset, length in marks:
        bitmap.set(offset, length)
    assert bitmap.sha256() == digest


def test_a_granularity_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="1000"):
        DirtyBitmap(10, 1000)
