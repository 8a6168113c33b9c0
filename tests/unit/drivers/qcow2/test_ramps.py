"""Stretches of entries that are told as a whole."""

from array import array

import pytest

from qmpserver.drivers.qcow2.entries import COPIED
from qmpserver.drivers.qcow2.ramps import Ramps

STEP = 1 << 16


def ramp(first: int, count: int, step: int = STEP) -> "array[int]":
    """Return entries of which each is greater by `step` than the one before."""
    return array("Q", range(first, first + count * step, step))


@pytest.mark.parametrize("count", [1, 2, 7, 64, 8192])
def test_a_ramp_is_told_from_what_differs_in_one_entry(count: int) -> None:
    ramps = Ramps(STEP)
    entries = ramp(COPIED + 5 * STEP, count)
    assert ramps.is_ramp(entries, 0, count)
    for place in {count // 2, count - 1} - {0}:
        wrong = array("Q", entries)
        wrong[place] ^= 1 << 40
        assert not ramps.is_ramp(wrong, 0, count)


@pytest.mark.parametrize("firsts", [(9, 5, 1, 5), (0, 1 << 39, (1 << 46) + 7, 3)])
def test_a_ramp_is_told_after_others_that_lay_before_or_behind(firsts: tuple[int, ...]) -> None:
    ramps = Ramps(STEP)
    for first in firsts:
        entries = ramp(first * STEP, 64)
        assert ramps.is_ramp(entries, 0, 64)
        entries[63] += STEP
        assert not ramps.is_ramp(entries, 0, 64)


@pytest.mark.parametrize("bits", range(9, 22))
@pytest.mark.parametrize("before_carry", [1, 40, 299])
@pytest.mark.parametrize("carried", [16, 24, 32, 40, 48])
def test_every_byte_may_be_carried_into_and_none_may_differ(
    bits: int, before_carry: int, carried: int
) -> None:
    step = 1 << bits
    first = COPIED + 0x101 + max((1 << carried) - before_carry * step, 0)
    entries = ramp(first, 300, step)
    ramps = Ramps(step)
    assert ramps.is_ramp(entries, 0, 300)
    assert ramps.is_ramp(entries, 100, 150)
    for bit in range(64):
        wrong = array("Q", entries)
        wrong[150] ^= 1 << bit
        assert not ramps.is_ramp(wrong, 0, 300)
        assert not ramps.is_ramp(wrong, 100, 150)


def test_what_would_run_past_the_greatest_entry_is_no_ramp() -> None:
    entries = array("Q", [(1 << 64) - STEP, 0, STEP])
    assert not Ramps(STEP).is_ramp(entries, 0, 3)
