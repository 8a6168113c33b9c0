"""Numbers that are typed are worked out as in C."""

import pytest

from qmpserver.errors import QMPError
from qmpserver.machine.hmp.expression import evaluate

VALUES = [
    ("7", 7),
    ("0x10", 16),
    ("010", 8),
    ("'a'", 97),
    ("1+2*3", 7),
    ("(1+2)*3", 9),
    ("7&3|8^1", ((7 & 3) | 8) ^ 1),
    # What is added binds less than what is masked, as in QEMU and not in C.
    ("1+2&2", 3),
    ("-7/2", -3),
    ("-7%2", -1),
    ("~0", -1),
    ("+-+5", -5),
    ("0xffffffffffffffff", -1),
    ("0x7fffffffffffffff+1", -(1 << 63)),
    ("  1 + 1  ", 2),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_an_expression_has_a_value_of_64_bits(text: str, value: int) -> None:
    assert evaluate(text, 0) == (value, len(text))


REFUSALS = [
    ("", "unexpected end of expression"),
    ("1+", "unexpected end of expression"),
    ("x", "invalid char 'x' in expression"),
    ("(1", "')' expected"),
    ("1/0", "division by zero"),
    ("1%(2-2)", "division by zero"),
    ("'", "character constant expected"),
    ("'ab'", "missing terminating ' character"),
    ("$eax", "unknown register"),
    ("0x10000000000000000", "number too large"),
    ("9" * 5000, "number too large"),
    ("(" * 5000, "expression is nested too deeply"),
]


@pytest.mark.parametrize(("text", "complaint"), REFUSALS)
def test_what_is_no_expression_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(QMPError) as refused:
        evaluate(text, 0)
    assert refused.value.description == complaint


def test_an_expression_ends_where_something_else_begins() -> None:
    assert evaluate("set 1+2 3", 3) == (3, 8)
    assert evaluate("08", 0) == (0, 1)
