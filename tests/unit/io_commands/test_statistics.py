"""What requests print."""

import pytest

from qmpserver.io_commands.numbers import size_text
from qmpserver.io_commands.statistics import Style, dump, report

SIZES = [
    (0, "0 bytes"),
    (1, "1 bytes"),
    (122.50167, "122.501670 bytes"),
    (5.0001, "5 bytes"),
    (1023, "1023 bytes"),
    (1024, "1 KiB"),
    (197120, "192.500 KiB"),
    (1 << 20, "1 MiB"),
    ((1 << 20) + 100, "1 MiB"),
    (3 << 30, "3 GiB"),
    (7 << 60, "7 EiB"),
]


@pytest.mark.parametrize(("size", "text"), SIZES)
def test_sizes_have_a_binary_unit_and_no_fraction_of_three_zeroes(size: float, text: str) -> None:
    assert size_text(size) == text


REPORTS = [
    (
        500_000_000,
        Style(),
        "read 1024/1024 bytes at offset 8\n1 KiB, 1 ops; 00.50 sec (2 KiB/sec and 2.0000 ops/sec)\n",
    ),
    (
        62_910_000_000,
        Style(),
        (
            "read 1024/1024 bytes at offset 8\n"
            "1 KiB, 1 ops; 0:01:02.91 (16.277221 bytes/sec and 0.0159 ops/sec)\n"
        ),
    ),
    (500_000_000, Style(for_machines=True), "1024,1,0:00:00.50,2048.000,2.000\n"),
    (500_000_000, Style(is_quiet=True, for_machines=True), ""),
]


@pytest.mark.parametrize(("elapsed_ns", "style", "printed"), REPORTS)
def test_a_report_is_for_people_or_for_programs(elapsed_ns: int, style: Style, printed: str) -> None:
    said: list[str] = []
    report(said.append, "read", 8, 1024, elapsed_ns, style=style)
    assert "".join(f"{line}\n" for line in said) == printed


def test_a_dump_shows_letters_and_digits() -> None:
    said: list[str] = []
    dump(said.append, 5, memoryview(b" Az09_\xe9\n0123456789"))
    assert said == [
        "00000005:  20 41 7a 30 39 5f e9 0a 30 31 32 33 34 35 36 37  .Az09...01234567",
        "00000015:  38 39  89",
    ]
