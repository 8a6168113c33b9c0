"""Every malformed input that was tried on QEMU, however it is cut."""

import pytest

from tests.unit.qmp.conversation import answers
from tests.wire_rows import ALL, END, Row

each_row = pytest.mark.parametrize("row", ALL, ids=lambda row: repr(row.data))


@each_row
def test_a_row_sent_whole_is_answered_as_qemu_answers(row: Row) -> None:
    assert answers([row.data + END]) == row.answers


@each_row
def test_a_row_sent_byte_by_byte_is_answered_the_same(row: Row) -> None:
    assert answers(bytes([byte]) for byte in row.data + END) == row.answers


@each_row
def test_a_row_with_more_behind_it_is_answered_the_same(row: Row) -> None:
    assert answers([row.data + END + b'{"execute":"query-x"}\n[1 2']) == row.answers


@each_row
def test_a_row_cut_in_two_anywhere_is_answered_the_same(row: Row) -> None:
    for cut in range(len(row.data) + 1):
        assert answers([row.data[:cut], row.data[cut:] + END]) == row.answers
