"""Zeroes are told from data exactly, whatever the sizes."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmpserver.units import MiB
from qmpserver.zeroes import fill_zeroes, is_zero, zero_runs


@pytest.mark.parametrize("length", [0, 1, 511, 65536, 65537, 3 * MiB + 1])
def test_zeroes_of_any_length_are_zero(length: int) -> None:
    assert is_zero(memoryview(bytes(length)))


@given(length=st.integers(1, 200_000), data=st.data())
def test_one_byte_anywhere_makes_it_data(length: int, data: st.DataObject) -> None:
    content = bytearray(length)
    content[data.draw(st.integers(0, length - 1))] = 1
    assert not is_zero(memoryview(content))


@given(st.lists(st.booleans(), max_size=20), st.integers(1, 8), st.integers(0, 7))
def test_runs_cover_everything_once_and_alternate(pieces: list[bool], unit: int, tail: int) -> None:
    content = b"".join((b"\0" if zero else b"x") * unit for zero in pieces) + b"y" * min(tail, unit - 1)
    runs = list(zero_runs(memoryview(content), unit))
    assert [start for start, _, _ in runs] == [sum(run[1] for run in runs[:i]) for i in range(len(runs))]
    assert sum(length for _, length, _ in runs) == len(content)
    for start, length, zero in runs:
        assert zero == (not any(content[start : start + length]))
    assert all(first[2] != second[2] for first, second in itertools.pairwise(runs))


def test_filling_reaches_the_last_byte_of_a_large_buffer() -> None:
    buffer = bytearray(b"x" * (2 * MiB + 5))
    fill_zeroes(memoryview(buffer))
    assert not any(buffer)
