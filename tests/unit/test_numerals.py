"""Numbers in, numbers out."""

import pytest

from qmpserver.numerals import human_size, integer, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1k", 1024),
        ("1K", 1024),
        ("1.5M", 3 << 19),
        (".5k", 512),
        ("1.k", 1024),
        ("0.1k", 102),
        ("1.0005k", 1025),
        ("2.9999999k", 3072),
        ("0.0004k", 0),
        ("1.0", 1),
        ("0x10", 16),
        ("01k", 1024),
        (" 5", 5),
        ("+5", 5),
        ("7b", 7),
        ("8E", 1 << 63),
        ("-1", -1),
        (" -0", -1),
        ("-.5", -1),
        ("-1k", None),
        ("-0x1", None),
        ("- 1", None),
        ("--1", None),
        ("0" * 5000 + "1k", 1024),
        ("1.5", None),
        ("0x10k", None),
        ("1e3", None),
        ("1 k", None),
        ("1kb", None),
        ("x", None),
        ("", None),
    ],
)
def test_a_size_is_read_as_qemu_reads_it(text: str, size: int | None) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("digits", ["9" * 5000, "0x" + "9" * 5000])
def test_what_has_more_digits_than_any_number_is_too_large(digits: str) -> None:
    size, number = parse_size(digits), integer(digits)
    assert size is not None
    assert number is not None
    assert min(size, number) > 1 << 64
    assert (integer(f"-{digits}"), parse_size("-" * 5000 + "1")) == (-number, None)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "0.977 KiB"),
        (1024, "1 KiB"),
        (197120, "192 KiB"),
        (1000448, "977 KiB"),
        (1024000, "0.977 MiB"),
        (1022976, "999 KiB"),
        (1 << 30, "1 GiB"),
        (1 << 63, "8 EiB"),
    ],
)
def test_a_size_is_shown_in_three_digits(size: int, text: str) -> None:
    assert human_size(size) == text


def test_numbers_are_read_in_cs_notation() -> None:
    assert [integer(text) for text in ("12", "0x1f", "010", "-3", "1k", "")] == [12, 31, 8, -3, None, None]
