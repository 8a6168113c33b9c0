"""The nested key=value syntax."""

import pytest

from qmpserver.errors import ParameterError
from qmpserver.options.keyval import Tree, parse
from tests.unit.options.keyval_rows import LONGEST, REFUSED

PARSED: list[tuple[str, dict[str, Tree]]] = [
    ("", {}),
    ("null-co", {"driver": "null-co"}),
    ("null-co,", {"driver": "null-co"}),
    ("driver=null-co,node-name=a", {"driver": "null-co", "node-name": "a"}),
    ("null-co,node-name=a,node-name=b,driver=raw", {"driver": "raw", "node-name": "b"}),
    ("driver=", {"driver": ""}),
    ("a.b", {"driver": "a.b"}),
    ("driver=a,,b", {"driver": "a,b"}),
    ("x=a=b,y=,,,,,z=,", {"x": "a=b", "y": ",,", "z": ""}),
    ("x= c,", {"x": " c"}),
    ("file.driver=file,file.filename=a.img", {"file": {"driver": "file", "filename": "a.img"}}),
    ("a.0=x,a.1=y", {"a": ["x", "y"]}),
    ("a.1=y,a.0=x", {"a": ["x", "y"]}),
    ("a.0=x,a.00=y", {"a": ["y"]}),
    ("a.0.b=1,a.0.c=2,a.1.d=3", {"a": [{"b": "1", "c": "2"}, {"d": "3"}]}),
    ("a.0.0=x", {"a": [["x"]]}),
    ("__org.qemu_x.y=1", {"__org.qemu_x": {"y": "1"}}),
    ("__a_b=1", {"__a_b": "1"}),
    ("a-b_c9=1", {"a-b_c9": "1"}),
    (f"{LONGEST}=1", {LONGEST: "1"}),
    (
        "a-name-longer-than-any-key-may-be-is-a-fine-value" * 9,
        {"driver": "a-name-longer-than-any-key-may-be-is-a-fine-value" * 9},
    ),
    ("help=1", {"help": "1"}),
]


@pytest.mark.parametrize(("text", "tree"), PARSED)
def test_an_argument_becomes_a_tree_of_strings(text: str, tree: dict[str, Tree]) -> None:
    parsed = parse(text, "driver")
    assert parsed.tree == tree
    assert not parsed.wants_help


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_a_malformed_argument_is_refused_with_qemus_text(text: str, message: str) -> None:
    with pytest.raises(ParameterError) as refusal:
        parse(text, "driver")
    assert str(refusal.value) == message


@pytest.mark.parametrize("text", ["help", "?", "null-co,help", "null-co,?,x=1", "help,x=1", "help,a.1=x"])
def test_a_word_asks_for_help(text: str) -> None:
    assert parse(text, "driver").wants_help


def test_without_an_implied_key_the_first_word_needs_a_value() -> None:
    with pytest.raises(ParameterError, match="Expected '=' after parameter 'null-co'"):
        parse("null-co")
