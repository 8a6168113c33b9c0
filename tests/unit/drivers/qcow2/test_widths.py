"""Reference counts of every width inside a block."""

import random

import pytest

from qmpserver.drivers.qcow2.widths import RefcountWidth

ORDERS = range(7)


@pytest.mark.parametrize("order", ORDERS)
def test_counts_are_kept_apart_as_in_a_plain_list(order: int) -> None:
    width, block, rng = RefcountWidth(order), bytearray(64), random.Random(order)
    entries = 64 * 8 // width.bits
    model = [0] * entries
    for _ in range(300):
        index = rng.randrange(entries)
        value = rng.choice((0, 1, width.maximum))
        width.put(block, index, value)
        model[index] = value
    assert [width.get(block, index) for index in range(entries)] == model


@pytest.mark.parametrize("order", ORDERS)
def test_the_first_free_run_is_found(order: int) -> None:
    rng = random.Random(order)
    width = RefcountWidth(order)
    entries = 64 * 8 // width.bits
    for _ in range(50):
        block = bytearray(64)
        share = rng.random()
        taken = [rng.random() < share for _ in range(entries)]
        for index in range(entries):
            if taken[index]:
                width.put(block, index, rng.randrange(1, width.maximum + 1))
        start, want = rng.randrange(entries), rng.randrange(1, 20)
        first = next((index for index in range(start, entries) if not taken[index]), None)
        if first is None:
            assert width.find_free(block, start, want) is None
            continue
        run = next((n for n in range(want) if first + n >= entries or taken[first + n]), want)
        assert width.find_free(block, start, want) == (first, run)


@pytest.mark.parametrize("order", ORDERS)
def test_a_run_of_ones_touches_nothing_else(order: int) -> None:
    width, block = RefcountWidth(order), bytearray(64)
    width.put_ones(block, 3, 4)
    assert [width.get(block, index) for index in range(8)] == [0, 0, 0, 1, 1, 1, 1, 0]


def test_narrow_counts_are_packed_from_the_lowest_bit_up() -> None:
    block = bytearray(1)
    RefcountWidth(1).put(block, 1, 3)
    assert block == b"\x0c"


def test_wide_counts_are_big_endian() -> None:
    block = bytearray(4)
    RefcountWidth(4).put(block, 1, 0x1234)
    assert block == b"\0\0\x12\x34"
