"""Option arguments that are JSON or nested key=value."""

from typing import Any

import pytest

from qmpserver.errors import QMPError
from qmpserver.options.structured import HelpWanted, parse

JSON: list[tuple[str, dict[str, Any]]] = [
    ("{}", {}),
    ("{} \n", {}),
    ('{"driver": "raw", "file": {"x": [1, true, null]}}', {"driver": "raw", "file": {"x": [1, True, None]}}),
    ("{'driver': 'raw'}", {"driver": "raw"}),
]


@pytest.mark.parametrize(("text", "tree"), JSON)
def test_what_begins_with_a_brace_is_json(text: str, tree: dict[str, Any]) -> None:
    argument = parse(text, "driver")
    assert (argument.tree, argument.is_json) == (tree, True)


def test_anything_else_is_nested_key_value() -> None:
    argument = parse("raw,file.x=1", "driver")
    assert (argument.tree, argument.is_json) == ({"driver": "raw", "file": {"x": "1"}}, False)


REFUSED = [
    ("{", "1:2: JSON parse error, premature end of input"),
    ('{\n"a":\n', "3:1: JSON parse error, premature end of input"),
    ('{"driver":1', "1:13: JSON parse error, premature end of input"),
    ('{"driver":"nul', "1:11: JSON parse error, stray '\"nul'"),
    ('{"driver":tru', "1:11: JSON parse error, invalid keyword 'tru'"),
    ('{"driver":-', "1:11: JSON parse error, stray '-'"),
    ('{"a":1e', "1:6: JSON parse error, stray '1e'"),
    ("{a}", "1:2: JSON parse error, expecting key"),
    ('{"a":1,}', "1:8: JSON parse error, expecting key"),
    ('{"a":1,"a":2}', "1:12: JSON parse error, duplicate key"),
    ('{"é":1', "1:9: JSON parse error, premature end of input"),
    ("{'a':'b'", "1:9: JSON parse error, premature end of input"),
    ("{} x", "Expecting at most one JSON value"),
    ("{}}", "Expecting at most one JSON value"),
    ('{"a":1} "x', "Expecting at most one JSON value"),
    ("{}é", "Expecting at most one JSON value"),
    ("x,=", "Invalid parameter ''"),
    ("help", "Help is not available for this option"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_a_malformed_argument_is_refused_with_qemus_text(text: str, message: str) -> None:
    with pytest.raises(QMPError) as refusal:
        parse(text, "driver")
    assert str(refusal.value) == message


def test_help_is_given_where_there_is_some() -> None:
    with pytest.raises(HelpWanted, match="as asked: raw"):
        parse("raw,help", "driver", lambda asked: f"as asked: {asked.tree['driver']}")
