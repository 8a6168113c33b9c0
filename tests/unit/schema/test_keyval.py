"""Conversions that the daemon's own options do not reach."""

from typing import Any

import pytest

from qmpserver.errors import ParameterError
from qmpserver.schema import keyval
from qmpserver.schema.keyval import parse_size
from qmpserver.schema.model import Schema
from qmpserver.schema.qapi import Array, IntFormat, Kind, Member, Notes, Scalar, Struct, Type


def converted(wanted: Type, value: Any) -> Any:
    """Convert a value of member `x`."""
    struct = Struct("", Notes(), [Member("x", wanted, required=True)])
    try:
        return keyval.convert(struct, {"x": value})["x"]
    except ParameterError as error:
        return error.description


def test_strings_become_what_the_type_says(schema: Schema) -> None:
    tree = {
        "driver": "qcow2",
        "read-only": "on",
        "cache-size": "0x100000",
        "file": {"driver": "file", "filename": "5"},
        "backing": "base",
        "overlap-check": {"main-header": "no"},
    }
    assert schema.type("BlockdevOptions").from_keyval(tree) == {
        "driver": "qcow2",
        "read-only": True,
        "cache-size": 1 << 20,
        "file": {"driver": "file", "filename": "5"},
        "backing": "base",
        "overlap-check": {"main-header": False},
    }


@pytest.mark.parametrize(
    ("wanted", "value", "expected"),
    [
        (Scalar(Kind.INTEGER, IntFormat.UINT32), "5000000000", "Parameter 'x' expects uint32_t"),
        (Scalar(Kind.INTEGER, IntFormat.UINT32), "-1", "Parameter 'x' expects uint32_t"),
        (Scalar(Kind.INTEGER, IntFormat.UINT64), "-1", (1 << 64) - 1),
        (Scalar(Kind.INTEGER), "-010", -8),
        (Scalar(Kind.NUMBER), "1.5", 1.5),
        (Scalar(Kind.NUMBER), "x", "Parameter 'x' expects number"),
        (Scalar(Kind.NULL), "", "Invalid parameter type for 'x', expected: null"),
        (Scalar(Kind.ANY), {"a": "1"}, {"a": "1"}),
        (Scalar(Kind.STRING), ["a"], "Parameters 'x.*' are unexpected"),
        (Array(Scalar(Kind.INTEGER)), ["1", "2"], [1, 2]),
        (Array(Scalar(Kind.INTEGER)), ["1", "y"], "Parameter 'x.1' expects integer"),
        (Array(Scalar(Kind.INTEGER, IntFormat.UINT16)), ["70000"], "Parameter 'null' expects uint16_t"),
        (Array(Scalar(Kind.INTEGER)), "1", "Invalid parameter type for 'x', expected: array"),
        (Array(Scalar(Kind.INTEGER)), {"y": "1"}, "Invalid parameter type for 'x', expected: array"),
        (Scalar(Kind.INTEGER, IntFormat.SIZE), "1M", 1 << 20),
        (Scalar(Kind.INTEGER, IntFormat.SIZE), "1kx", "Parameter 'x' expects size"),
    ],
)
def test_a_leaf_is_read_by_its_type(wanted: Type, value: Any, expected: Any) -> None:
    assert converted(wanted, value) == expected


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("1B", 1),
        ("1k", 1 << 10),
        ("1.5K", 1536),
        (".5k", 512),
        ("1.", 1),
        ("0x1000", 4096),
        ("15E", 15 << 60),
        ("16E", None),
        ("0x10k", None),
        ("1e3", None),
        ("0.1", None),
        ("-1", None),
        ("99999999999999999999", None),
        ("x", None),
        ("", None),
        (".", None),
    ],
)
def test_a_size_may_have_a_suffix(text: str, size: int | None) -> None:
    assert parse_size(text) == size


def test_a_json_name_may_mix_strings_and_json(schema: Schema) -> None:
    options = schema.type("BlockdevOptions")
    mixed = {"driver": "raw", "offset": "512", "size": 1024, "read-only": "on", "file": {"filename": "x"}}
    assert options.from_image(mixed) == mixed | {"offset": 512, "read-only": True}
    assert options.from_image({"filename": "x"}) == {"filename": "x"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            {"driver": "raw", "file": {"driver": "null-co", "size": 1.5}},
            "Invalid parameter type for 'file.size', expected: integer",
        ),
        (
            {"driver": "raw", "file": {"driver": "null-co", "size": "x"}},
            "Parameter 'file.size' expects integer",
        ),
        ({"driver": "raw", "file": {"driver": "null-co", "x": 1}}, "Parameter 'file.x' is unexpected"),
        ({"driver": 1}, "Invalid parameter type for 'driver', expected: string"),
        ({"driver": "no"}, "Parameter 'driver' does not accept value 'no'"),
    ],
)
def test_a_json_name_is_held_against_the_type(schema: Schema, value: Any, text: str) -> None:
    with pytest.raises(ParameterError) as caught:
        schema.type("BlockdevOptions").from_image(value)
    assert caught.value.description == text
