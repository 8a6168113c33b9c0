"""How a command reads its words."""

import pytest

from qmpserver.cli.io.table import TABLE
from qmpserver.io_commands.command import Command, Complaint, Remark, WrongUse
from qmpserver.io_commands.numbers import MAX_REQUEST, lengths, pattern_argument, size_argument
from qmpserver.options.getopt import UsageError

READ = TABLE.find("r")
LENGTH = TABLE.find("length")


def test_a_command_is_found_by_either_name() -> None:
    assert READ is TABLE.find("read") is not None
    assert TABLE.find("rea") is None
    assert TABLE.find("") is None


def test_options_stand_anywhere_and_end_at_two_dashes() -> None:
    assert READ is not None
    words = READ.read(["0", "-vP", "3", "-P5", "1k", "--", "-C"])
    assert (words.options, words.operands) == ({"v": [""], "P": ["3", "5"]}, ["0", "1k", "-C"])
    with pytest.raises(WrongUse):
        words.exactly(2)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-x", "0"], "invalid option -- 'x'"),
        (["0", "1", "-P"], "option requires an argument -- 'P'"),
        (["--P", "3"], "invalid option -- '-'"),
        (["-1", "3"], "invalid option -- '1'"),
    ],
)
def test_wrong_options_are_named(words: list[str], complaint: str) -> None:
    assert READ is not None
    with pytest.raises(UsageError, match=complaint):
        READ.read(words)


async def _nothing(*_: object) -> None:
    """Do nothing."""


@pytest.mark.parametrize(
    ("least", "most", "count", "expected"),
    [
        (2, None, 1, "at least 2"),
        (0, 0, 1, "0"),
        (1, 1, 2, "1"),
        (1, 3, 0, "between 1 and 3"),
        (1, 3, 4, "between 1 and 3"),
    ],
)
def test_too_few_and_too_many_words_are_counted(
    least: int, most: int | None, count: int, expected: str
) -> None:
    command = Command("x", _nothing, "does nothing", least=least, most=most)
    with pytest.raises(Remark, match=f"bad argument count {count} to y, expected {expected} arguments"):
        command.check_count("y", ["a"] * count)


def test_a_usage_line_has_the_name_that_was_used() -> None:
    assert READ is not None
    assert LENGTH is not None
    assert READ.usage("r").startswith("r [-abCqrv] [-P pattern [-s off] [-l len]] off len -- ")
    assert LENGTH.usage("length").startswith("length -- ")


@pytest.mark.parametrize("text", ["nix", "1e2", "1kk", "0x", "1.5", "", "0x1k"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(Complaint, match="non-numeric argument"):
        size_argument(text)


@pytest.mark.parametrize("text", ["-1", "9E", "99999999999999999999"])
def test_what_is_no_offset_is_refused(text: str) -> None:
    with pytest.raises(Complaint, match=f"argument too large -- {text}"):
        size_argument(text)


def test_buffers_have_a_length_together() -> None:
    assert lengths(["1k", "0x200", "0.5k", "+1"]) == 1024 + 512 + 512 + 1
    with pytest.raises(Complaint, match=f"Argument '2G' exceeds maximum size {MAX_REQUEST}"):
        lengths(["1", "2G"])
    with pytest.raises(Complaint, match="The total number of bytes exceed the maximum size"):
        lengths(["1G", "1G"])


@pytest.mark.parametrize("text", ["256", "-1", "nix", "5x", ""])
def test_what_is_no_byte_is_refused(text: str) -> None:
    with pytest.raises(Complaint, match="is not a valid pattern byte"):
        pattern_argument(text)


def test_patterns_are_written_as_in_c() -> None:
    assert [pattern_argument(text) for text in ("255", "0xff", "0377", "+5")] == [255, 255, 255, 5]
