"""Lines that only this shell takes, and what it says of those it does not; the rest is beside the real qmp-shell."""

from typing import Any

import pytest

from qmpserver.shell.line import LineReader
from qmpserver.shell.words import LineError

WIDER = [
    ('a b={"c": 1, "d": "e f"}', {"b": {"c": 1, "d": "e f"}}),
    ("a b=[1, 2] c=x", {"b": [1, 2], "c": "x"}),
    ("a b={'c': 'it\\'s'}", {"b": {"c": "it's"}}),
    ('a {"b": "c d"} e=1', {"b": "c d", "e": 1}),
    ("a {}", {}),
    ("a b.c=1 d=2 b.e=3", {"b": {"c": 1, "e": 3}, "d": 2}),
    ("a b.c={'d': 1} b.c.e=2", {"b": {"c": {"d": 1, "e": 2}}}),
]


@pytest.mark.parametrize(("line", "arguments"), WIDER)
def test_brackets_may_hold_blanks_and_an_object_may_stand_for_arguments(
    line: str, arguments: dict[str, Any]
) -> None:
    assert LineReader().read(line) == {"execute": "a", "arguments": arguments}


def test_a_line_in_json_is_sent_as_it_is() -> None:
    line = ' {"exec-oob": "migrate-pause", "id": [1]} '
    assert LineReader().read(line) == {"exec-oob": "migrate-pause", "id": [1]}


def test_an_action_may_be_json() -> None:
    reader = LineReader()
    lines = ["transaction(", '{"type": "abort", "data": {}}', "a b={'c': 1} )"]
    assert [reader.read(line) for line in lines][-1] == {
        "execute": "transaction",
        "arguments": {"actions": [{"type": "abort", "data": {}}, {"type": "a", "data": {"b": {"c": 1}}}]},
    }


REFUSALS = [
    ("a b", "Expected a key=value pair, got 'b'"),
    ("a b=1 b=2", 'Cannot set "b" multiple times'),
    ('a {"b": 1} b=2', 'Cannot set "b" multiple times'),
    ("a b.c=1 b=2", 'Cannot use "" as both leaf and non-leaf key'),
    ("a b.c=1 b.c.d=2", 'Cannot use "b.c" as both leaf and non-leaf key'),
    ("a b='c", "A quote or bracket is not closed"),
    ("a b={ c", "A quote or bracket is not closed"),
    ("a b={c: 1}", "'{c: 1}' is neither JSON nor a Python literal"),
    ("a {1}", "'{1}' is neither JSON nor a Python literal"),
    ("{", "'{' is neither JSON nor a Python literal"),
    ("{}", "The object has no 'execute'"),
    ("transaction( ) a", "Unexpected input after close of Transaction sub-shell"),
    ("a {" + "[" * 2000 + "]" * 2000 + "}", None),
    ("a b={ " + "-" * 20000 + "1}", None),
]


@pytest.mark.parametrize(("line", "reason"), REFUSALS)
def test_a_malformed_line_is_refused_and_changes_nothing(line: str, reason: str | None) -> None:
    reader = LineReader()
    with pytest.raises(LineError) as refusal:
        reader.read(line)
    assert reason in (None, str(refusal.value))
    assert reader.actions is None


def test_a_transaction_keeps_its_actions_when_a_line_is_refused() -> None:
    reader = LineReader()
    reader.read("transaction( a b=1")
    for line in ("c d", ") e", "transaction( f g", "{}"):
        with pytest.raises(LineError):
            reader.read(line)
    assert reader.actions == [{"type": "a", "data": {"b": 1}}]
    reader.give_up()
    assert reader.read("a") == {"execute": "a", "arguments": {}}
