"""Bytes to values: the short way equals the exact way, and cuts make no difference."""

import itertools
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmpserver.qmp.decoder import NEED_DATA, UNSURE, Decoder, read_line
from qmpserver.qmp.lexer import Lexer
from qmpserver.qmp.parser import INCOMPLETE, JSONError, Parser

PIECES = (
    '{ } [ ] : , "a" "b" \'c\' 1 - 0 12.5 1e5 . e true nul null % \\ \\u \\uD83D\\uDE00 \\n " \' A 01 + '
    '{"a":1} [1,2] {"id":1} {} {"a":[1,{"b":2}]} "a": "b": "a":1, é -0 1e400 18446744073709551616'
)
JUNK = [
    b" ",
    b"\n",
    b"\t",
    b"\r\n",
    b"\x00",
    b"\x01",
    b"\x7f",
    b"\xff",
    b"\xfe",
    b"\xc0\x80",
    b"\xed\xa0\x80",
]
dialect = st.lists(st.sampled_from([*(piece.encode() for piece in PIECES.split()), *JUNK]), max_size=25).map(
    b"".join
)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def decode(chunks: Iterable[bytes]) -> list[Any]:
    decoder = Decoder()
    items: list[Any] = []
    for chunk in chunks:
        decoder.feed(chunk)
        items += take_all(decoder)
    return items


def take_all(decoder: Decoder) -> list[Any]:
    items: list[Any] = []
    while True:
        try:
            value = decoder.next()
        except JSONError as error:
            items.append(error.description)
            continue
        if value is NEED_DATA:
            return items
        items.append(value)


def decode_exactly(data: bytes) -> list[Any]:
    """Decode without the short way."""
    lexer, parser = Lexer(), Parser()
    lexer.feed(data)
    items: list[Any] = []
    while (token := lexer.next()) is not None:
        try:
            value = parser.push(token)
        except JSONError as error:
            items.append(error.description)
            continue
        if value is not INCOMPLETE:
            items.append(value)
    return items


@given(dialect)
def test_input_is_decoded_as_by_the_exact_parser_alone(data: bytes) -> None:
    assert repr(decode([data])) == repr(decode_exactly(data))


@given(dialect, st.lists(st.integers(0, 200), max_size=5))
def test_it_makes_no_difference_how_input_is_cut(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    chunks = [data[start:end] for start, end in itertools.pairwise(edges)]
    assert repr(decode(chunks)) == repr(decode([data]))


@given(st.binary(max_size=60))
def test_any_bytes_at_all_are_decoded_the_same_in_one_and_in_pieces(data: bytes) -> None:
    assert repr(decode(data[at : at + 1] for at in range(len(data)))) == repr(decode([data]))


@given(values, st.booleans())
def test_what_the_short_way_reads_the_exact_parser_reads_too(value: Any, ascii_only: bool) -> None:
    line = json.dumps(value, ensure_ascii=ascii_only).encode(errors="replace")
    quick = read_line(line)
    assert quick is UNSURE or repr([quick]) == repr(decode_exactly(line + b"\n"))


@pytest.mark.parametrize(
    "line",
    [
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":2}}',
        b'[{"a":1,"a":2}]',
        b'"\\uffff"',
        b'"\xef\xbf\xbf"',
        b'"\\ud800"',
        b"'a'",
        b"{} {}",
        b"1e400",
        b"[" * 1025 + b"]" * 1025,
        b'{"a":' * 300 + b"1" + b"}" * 300,
        b'"' + b"a" * (1 << 20) + b'"',
        b"",
    ],
    ids=lambda line: repr(line[:20]),
)
def test_what_might_be_read_differently_is_left_to_the_exact_parser(line: bytes) -> None:
    assert read_line(line) is UNSURE


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-0", 0),
        ("1.0", 1.0),
        ("1E2", 100.0),
        ("9223372036854775808", 1 << 63),
        ("18446744073709551615", (1 << 64) - 1),
        ("18446744073709551616", float(1 << 64)),
        ("-9223372036854775809", -float(1 << 63)),
        ("1e400", float("inf")),
        ("0e1", 0.0),
        ('"\\/"', "/"),
        ('"\\u00e9\\uD83D\\uDE00"', "é\N{GRINNING FACE}"),
    ],
)
@pytest.mark.parametrize("end", [b"\n", b" {", b"'x'\n"])
def test_a_value_means_what_qemu_takes_it_for(text: str, value: Any, end: bytes) -> None:
    assert repr(decode([text.encode() + end])[0]) == repr(value)


def test_nul_may_be_written_as_two_bytes() -> None:
    assert decode([b'"a\xc0\x80b"']) == ["a\0b"]


def test_a_message_without_a_newline_is_given_at_once() -> None:
    assert decode([b'{"a":1}']) == [{"a": 1}]


def test_places_count_lines_that_took_the_short_way() -> None:
    assert decode([b'{"a":1}\n\n{"a":1}', b' %\n{"b":2}\n', b"%"]) == [
        {"a": 1},
        {"a": 1},
        "3:9: JSON parse error, stray '%'",
        {"b": 2},
        "5:1: JSON parse error, stray '%'",
    ]


def test_only_what_is_asked_for_is_decoded() -> None:
    decoder = Decoder()
    decoder.feed(b"1 2 %\n{}\n")
    assert decoder.next() == 1
    assert decoder.has_input
    decoder.feed(b"[]\n")
    assert take_all(decoder) == [2, "1:5: JSON parse error, stray '%'", {}, []]
    assert not decoder.has_input


def test_a_string_of_100_mib_in_small_pieces_is_refused_once_and_what_follows_is_read() -> None:
    decoder = Decoder()
    chunk = b"a" * 4096
    decoder.feed(b'"')
    items = take_all(decoder)
    for _ in range(100 << 20 >> 12):
        decoder.feed(chunk)
        items += take_all(decoder)
    decoder.feed(b'"\n{"a":1}\n')
    assert [*items, *take_all(decoder)] == ["JSON token size limit exceeded", {"a": 1}]


@pytest.mark.parametrize(
    ("size", "answer"),
    [((64 << 20) - 1, "a" * ((64 << 20) - 3)), (64 << 20, "JSON token size limit exceeded")],
)
def test_a_token_may_have_one_byte_less_than_64_mib(size: int, answer: str) -> None:
    assert decode([b'"' + b"a" * (size - 2) + b'"']) == [answer]


def test_the_tokens_of_one_message_may_have_64_mib_together() -> None:
    half = b'"' + b"a" * (33 << 20) + b'"'
    assert decode([b"[" + half + b"," + half + b"]{}"]) == ["JSON token size limit exceeded", {}]


def test_nesting_of_10_000_is_one_error() -> None:
    assert decode([b"[" * 10_000 + b"]" * 10_000 + b"\n{}"]) == ["JSON nesting depth limit exceeded", {}]


def test_nesting_of_1024_is_none() -> None:
    (value,) = decode([b"[" * 1024 + b"]" * 1024])
    depth = 0
    while value:
        (value,) = value
        depth += 1
    assert depth == 1023
