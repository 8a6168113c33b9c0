"""Memory is used again once it has been given back, and never while somebody has it."""

import pytest

from qmpserver import recycling
from qmpserver.recycling import LARGEST, SMALLEST


@pytest.fixture(autouse=True)
def at_rest(monkeypatch: pytest.MonkeyPatch) -> list[bytearray]:
    """What is kept, which is nothing at first."""
    kept: list[bytearray] = []
    monkeypatch.setattr(recycling, "_at_rest", kept)
    return kept


def test_what_was_given_back_is_used_again_and_what_is_lent_is_not() -> None:
    first, second = recycling.take(LARGEST), recycling.take(SMALLEST)
    assert first.obj is not second.obj
    assert (len(first), len(second)) == (LARGEST, SMALLEST)
    used = first.obj
    recycling.give_back(first)
    assert recycling.take(SMALLEST).obj is used
    third = recycling.take(SMALLEST).obj
    assert third is not used
    assert third is not second.obj


def test_a_part_stands_for_the_whole_and_giving_back_twice_counts_once() -> None:
    view = recycling.take(LARGEST)
    recycling.give_back(view[100:200])
    recycling.give_back(view)
    assert recycling.take(LARGEST).obj is not recycling.take(LARGEST).obj


def test_what_is_small_or_very_large_or_of_others_is_not_kept(at_rest: list[bytearray]) -> None:
    for length in (0, SMALLEST - 1, 2 * LARGEST):
        view = recycling.take(length)
        assert len(view) == length
        recycling.give_back(view)
    recycling.give_back(memoryview(bytearray(LARGEST)))
    assert at_rest == []


def test_no_more_is_kept_than_a_few(at_rest: list[bytearray]) -> None:
    for view in [recycling.take(LARGEST) for _ in range(50)]:
        recycling.give_back(view)
    assert 0 < sum(map(len, at_rest)) < 5 << 20
