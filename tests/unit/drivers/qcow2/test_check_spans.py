"""Stretches of L2 entries that can be handled at once."""

import random
from array import array

import pytest

from qmpserver.drivers.qcow2.check_spans import Span, SpanFinder
from qmpserver.drivers.qcow2.entries import COMPRESSED, COPIED, OFFSET_MASK, ZERO

SIZE = 512
FINDER = SpanFinder(SIZE, ZERO | COMPRESSED | 0x3F00_0000_0000_01FE, OFFSET_MASK)


def spans(entries: list[int]) -> list[Span]:
    return list(FINDER.spans(array("Q", entries)))


def run(first: int, count: int) -> list[int]:
    return [first + place * SIZE for place in range(count)]


def test_an_empty_table_has_none() -> None:
    assert spans([0] * 512) == []


@pytest.mark.parametrize("flag", [0, COPIED])
def test_a_table_in_line_is_one_run(flag: int) -> None:
    assert spans(run(flag | 0x1000, 512)) == [Span(0, 512, is_run=True)]


def test_what_has_no_room_is_no_run() -> None:
    assert not any(span.is_run for span in spans([COPIED, *run(COPIED | SIZE, 31)]))


@pytest.mark.parametrize("odd", [0, ZERO, COMPRESSED | 5, 0x1000, COPIED | 0x1000, 1 << 60, (1 << 64) - 1])
def test_one_odd_entry_is_found_wherever_it_is(odd: int) -> None:
    for place in range(0, 512, 17):
        entries = run(COPIED | 0x10_0000, 512)
        entries[place] = odd
        found = spans(entries)
        assert [span for span in found if not span.is_run and span.start <= place < span.end]
        assert sum(span.end - span.start for span in found) == 512


@pytest.mark.parametrize("seed", range(30))
def test_runs_are_what_they_say_and_no_entry_is_left_out(seed: int) -> None:
    rng = random.Random(seed)
    entries: list[int] = []
    while len(entries) < 512:
        length = rng.randrange(1, 200)
        kind = rng.randrange(3)
        if kind == 0:
            entries += [0] * length
        elif kind == 1:
            entries += run(rng.choice((0, COPIED)) | rng.randrange(1, 1 << 20) * SIZE, length)
        else:
            entries += [rng.getrandbits(64) for _ in range(length % 9)]
    entries = entries[:512]
    covered: set[int] = set()
    for start, end, is_run in spans(entries):
        covered.update(range(start, end))
        if is_run:
            assert entries[start:end] == run(entries[start], end - start)
    assert all(not entry for place, entry in enumerate(entries) if place not in covered)
