"""Checks beyond what the comparison with QEMU covers: speed's shortcuts, widths, depth, chance."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmpserver.errors import ParameterError
from qmpserver.schema.check import Checks
from qmpserver.schema.conform import SchemaError, conform
from qmpserver.schema.loader import load
from qmpserver.schema.model import Schema
from qmpserver.schema.qapi import Alternate, Array, IntFormat, Kind, Member, Notes, Scalar, Struct, Type

SCHEMA = load()

STRING = Scalar(Kind.STRING)


def judged(wanted: Type, value: Any) -> str | None:
    """Hold a value of member `x` against a type."""
    try:
        Checks().of(Struct("", Notes(), [Member("x", wanted, required=True)]))({"x": value}, None, "")
    except ParameterError as error:
        return error.description
    return None


@pytest.mark.parametrize(
    ("width", "value", "text"),
    [
        (IntFormat.INT8, 127, None),
        (IntFormat.INT8, -128, None),
        (IntFormat.INT8, 128, "Parameter 'x' expects int8_t"),
        (IntFormat.INT8, 1 << 63, "Invalid parameter type for 'x', expected: integer"),
        (IntFormat.INT32, -(1 << 31) - 1, "Parameter 'x' expects int32_t"),
        (IntFormat.UINT8, 255, None),
        (IntFormat.UINT8, 256, "Parameter 'x' expects uint8_t"),
        (IntFormat.UINT16, -1, "Parameter 'x' expects uint16_t"),
        (IntFormat.UINT32, 1 << 32, "Parameter 'x' expects uint32_t"),
        (IntFormat.UINT32, 1.5, "Parameter 'x' expects uint64"),
        (IntFormat.UINT32, "1", "Parameter 'x' expects uint64"),
        (IntFormat.SIZE, (1 << 64) - 1, None),
        (IntFormat.SIZE, 1 << 64, "Parameter 'x' expects uint64"),
    ],
)
def test_an_integer_has_its_width(width: IntFormat, value: Any, text: str | None) -> None:
    assert judged(Scalar(Kind.INTEGER, width), value) == text


@pytest.mark.parametrize(
    ("wanted", "value", "text"),
    [
        (Scalar(Kind.NUMBER), 1, None),
        (Scalar(Kind.NUMBER), 1.5, None),
        (Scalar(Kind.NUMBER), True, "Invalid parameter type for 'x', expected: number"),
        (Scalar(Kind.NULL), None, None),
        (Scalar(Kind.NULL), 0, "Invalid parameter type for 'x', expected: null"),
        (Scalar(Kind.ANY), {"a": [1]}, None),
        (Array(STRING), ["a", "b"], None),
        (Array(STRING), ["a", 1], "Invalid parameter type for 'x[1]', expected: string"),
        (Array(Array(STRING)), [["a"], [1]], "Invalid parameter type for 'x[1][0]', expected: string"),
        (
            Array(Struct("", Notes(), [Member("y", STRING, required=True)])),
            [{}],
            "Parameter 'x[0].y' is missing",
        ),
        (Array(Alternate("A", Notes(), [STRING])), [1], "Invalid parameter type for 'null', expected: A"),
    ],
)
def test_a_value_is_of_its_kind(wanted: Type, value: Any, text: str | None) -> None:
    assert judged(wanted, value) == text


def test_of_several_unexpected_members_the_first_sent_is_named(schema: Schema) -> None:
    with pytest.raises(ParameterError, match=r"Parameter 'zz' is unexpected"):
        schema.commands["query-jobs"].check({"zz": 1, "aa": 2})


def test_what_is_nested_beyond_reason_is_refused_and_does_not_crash(schema: Schema) -> None:
    options: dict[str, Any] = {"driver": "null-co"}
    for _ in range(5000):
        options = {"driver": "raw", "file": options}
    with pytest.raises(ParameterError, match="nested too deeply"):
        schema.commands["blockdev-add"].check(options)


VALID: list[tuple[str, dict[str, Any]]] = [
    ("block-stream", {"device": "a", "speed": 1, "on-error": "stop", "auto-finalize": False}),
    (
        "blockdev-add",
        {
            "driver": "qcow2",
            "node-name": "n",
            "cache": {"direct": True, "no-flush": False},
            "file": {"driver": "file", "filename": "x", "aio": "threads"},
            "backing": {"driver": "raw", "file": "f", "offset": 512},
            "overlap-check": {"template": "all", "main-header": True},
            "encrypt": {"format": "luks", "key-secret": "s"},
        },
    ),
    ("object-add", {"qom-type": "secret", "id": "s", "data": "x", "format": "raw"}),
    ("qmp_capabilities", {"enable": ["oob"]}),
]

JUNK = st.sampled_from(
    [None, True, 0, 1, -5, 1.5, "", "x", "raw", "file", "luks", "all", [], ["oob"], {}, {"a": 1}]
)


@st.composite
def spoiled(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Take a valid row and change, drop or add something, somewhere in it."""
    command, arguments = copy.deepcopy(draw(st.sampled_from(VALID)))
    place: Any = arguments
    while isinstance(place, dict) and place:
        name = draw(st.sampled_from(sorted(place)))
        if not isinstance(place[name], dict) or draw(st.booleans()):
            break
        place = place[name]
    match draw(st.integers(0, 2)):
        case 0:
            place.pop(name, None)
        case 1:
            place[name] = draw(JUNK)
        case _:
            place[draw(st.sampled_from(["zz", "size", "backing", "file"]))] = draw(JUNK)
    return command, arguments


@given(spoiled())
def test_the_check_accepts_what_the_strict_walk_accepts(row: tuple[str, dict[str, Any]]) -> None:
    command, arguments = row
    try:
        conform(SCHEMA.commands[command].arguments, arguments, "arguments")
        strict = True
    except SchemaError:
        strict = False
    try:
        SCHEMA.commands[command].check(arguments)
        quick = True
    except ParameterError:
        quick = False
    assert quick == strict
