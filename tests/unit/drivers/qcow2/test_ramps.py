"""Stretches of entries that are told as a whole."""

from array import array

import pytest

from qmpserver.drivers.qcow2.ramps import Ramps

STEP = 1 << 16


@pytest.mark.parametrize("count", [1, 2, 7, 64, 8192])
def test_a_ramp_is_told_from_what_differs_in_one_entry(count: int) -> None:
    ramps = Ramps(STEP)
    entries = array("Q", range((1 << 63) + 5 * STEP, (1 << 63) + (5 + count) * STEP, STEP))
    assert ramps.is_ramp(entries.tobytes(), entries[0], count)
    for place in {0, count // 2, count - 1}:
        wrong = array("Q", entries)
        wrong[place] ^= 1 << 40
        assert not ramps.is_ramp(wrong.tobytes(), entries[0], count)


@pytest.mark.parametrize("firsts", [(9, 5, 1, 5), (0, 1 << 39, (1 << 47) + 7, 3)])
def test_a_ramp_is_told_after_others_that_lay_before_or_behind(firsts: tuple[int, ...]) -> None:
    ramps = Ramps(STEP)
    for first in firsts:
        entries = array("Q", range(first * STEP, (first + 64) * STEP, STEP))
        assert ramps.is_ramp(entries.tobytes(), entries[0], 64)
        entries[63] += STEP
        assert not ramps.is_ramp(entries.tobytes(), entries[0], 64)
