"""Lines the server sends."""

import json
from typing import Any

import pytest

from qmpserver.qmp import messages
from qmpserver.qmp.messages import NO_ID


@pytest.mark.parametrize(
    ("value", "request_id", "line"),
    [
        (None, NO_ID, b'{"return": {}}\r\n'),
        (None, None, b'{"return": {}, "id": null}\r\n'),
        ([], NO_ID, b'{"return": []}\r\n'),
        ({"a": 1}, [1, {"b": None}], b'{"return": {"a":1}, "id": [1,{"b":null}]}\r\n'),
        ("é\N{GRINNING FACE}", NO_ID, b'{"return": "\\u00E9\\uD83D\\uDE00"}\r\n'),
        ((1 << 64) - 1, -(1 << 63), b'{"return": 18446744073709551615, "id": -9223372036854775808}\r\n'),
    ],
)
def test_a_reply_has_the_value_before_the_id(value: Any, request_id: Any, line: bytes) -> None:
    assert messages.reply(value, request_id) == line


def test_a_refusal_has_the_id_before_the_error() -> None:
    line = messages.refusal("DeviceNotFound", 'no "x"', 7)
    assert line == b'{"id": 7, "error": {"class": "DeviceNotFound", "desc": "no \\"x\\""}}\r\n'
    assert messages.refusal("GenericError", "é") == (
        b'{"error": {"class": "GenericError", "desc": "\\u00E9"}}\r\n'
    )


def test_the_greeting_names_version_and_capabilities() -> None:
    line = messages.greeting({"package": "p"}, ["oob"])
    assert json.loads(line) == {"QMP": {"version": {"package": "p"}, "capabilities": ["oob"]}}
    assert line.endswith(b"\r\n")


def test_a_file_name_that_is_no_unicode_is_shown_with_replacement_characters() -> None:
    assert json.loads(messages.reply({"file\udcff": ["a\udc80b"]})) == {
        "return": {"file\N{REPLACEMENT CHARACTER}": ["a\N{REPLACEMENT CHARACTER}b"]}
    }


def test_an_indented_message_is_the_same_message() -> None:
    assert messages.indent(b'{"return": {"a":[1]}}\r\n') == (
        b'{\r\n    "return": {\r\n        "a": [\r\n            1\r\n        ]\r\n    }\r\n}\r\n'
    )


@pytest.mark.parametrize("depth", [253, 254, 1000, 1023])
def test_a_value_may_be_as_deep_as_a_request(depth: int) -> None:
    brackets = b"[" * depth + b"]" * depth
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    line = b'{"return": {}, "id": %b}\r\n' % brackets
    assert messages.reply(None, value) == line
    assert messages.reply(value) == b'{"return": %b}\r\n' % brackets
    assert messages.indent(line).translate(None, b"\r\n ") == line.translate(None, b"\r\n ")


def test_a_deep_value_is_written_as_any_other() -> None:
    value: Any = {"é": [1, {}, [], None, "\udc80"], "b": {"c": True, "d": 1.5}}
    shown = b'{"\\u00E9":[1,{},[],null,"\\ufffd"],"b":{"c":true,"d":1.5}}'
    for _ in range(300):
        value = {"x": value}
    assert messages.reply(value) == b'{"return": %b%b%b}\r\n' % (b'{"x":' * 300, shown, b"}" * 300)
