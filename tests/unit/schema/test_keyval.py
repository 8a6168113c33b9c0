"""Conversions that the daemon's own options do not reach."""

from typing import Any

import pytest

from qmpserver.errors import ParameterError
from qmpserver.schema import keyval
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


def test_a_json_name_may_give_sizes_a_suffix(schema: Schema) -> None:
    options = schema.type("BlockdevOptions")
    mixed = {"driver": "raw", "offset": "1k", "size": "1.5M", "file": "f"}
    assert options.from_image(mixed) == mixed | {"offset": 1024, "size": 3 << 19}
    with pytest.raises(
        ParameterError, match=r"^Parameter 'offset' expects a non-negative number below 2\^64$"
    ):
        options.from_image(mixed | {"offset": "1z"})
    with pytest.raises(ParameterError, match=r"^Value '-1' is out of range for parameter 'size'$"):
        options.from_image(mixed | {"size": "-1"})
    with pytest.raises(ParameterError, match=r"^Parameter 'latency-ns' expects a number$"):
        options.from_image({"driver": "null-co", "size": "1G", "latency-ns": "1k"})


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
            "Parameter 'size' expects a non-negative number below 2^64",
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
