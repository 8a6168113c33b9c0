"""Splitting a command line into options."""

import pytest

from qmpserver.options.getopt import STRAY, Option, OptionTable, UsageError, split

TABLE = OptionTable(
    long={
        "blockdev": True,
        "help": False,
        "log-json": False,
        "log-level": True,
        "trace": True,
        "version": False,
    },
    short={"h": "help", "T": "trace", "V": "version"},
)

SPLIT: list[tuple[list[str], list[Option]]] = [
    ([], []),
    (["--blockdev", "x"], [Option("blockdev", "x", "--blockdev x")]),
    (["--blockdev=x=y"], [Option("blockdev", "x=y", "--blockdev=x=y")]),
    (["--blockdev="], [Option("blockdev", "", "--blockdev=")]),
    (["--b", "--version"], [Option("blockdev", "--version", "--b --version")]),
    (["-Tx", "-T", "y"], [Option("trace", "x", "-Tx"), Option("trace", "y", "-T y")]),
    (["-hVTx"], [Option("help", "", "-hVTx"), Option("version", "", "-hVTx"), Option("trace", "x", "-hVTx")]),
    (["x", "-", "--help"], [Option(STRAY, "x", "x"), Option(STRAY, "-", "-"), Option("help", "", "--help")]),
    (["--help", "--", "--bogus", "x"], [Option("help", "", "--help")]),
]


@pytest.mark.parametrize(("words", "options"), SPLIT)
def test_options_come_out_in_order_with_their_arguments(words: list[str], options: list[Option]) -> None:
    assert list(split(TABLE, words)) == options


REFUSED = [
    (["--blockdev"], "option '--blockdev' requires an argument"),
    (["--b"], "option '--blockdev' requires an argument"),
    (["-T"], "option requires an argument -- 'T'"),
    (["--bogus"], "unrecognized option '--bogus'"),
    (["--bogus=1"], "unrecognized option '--bogus=1'"),
    (["--help=1"], "option '--help' doesn't allow an argument"),
    (["--log"], "option '--log' is ambiguous; possibilities: '--log-json' '--log-level'"),
    (["-x"], "invalid option -- 'x'"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_a_wrong_option_is_named(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as refusal:
        list(split(TABLE, words))
    assert str(refusal.value) == message


def test_options_before_a_wrong_one_come_out_first() -> None:
    options = split(TABLE, ["--version", "--bogus"])
    assert next(options).name == "version"
    with pytest.raises(UsageError):
        next(options)


def test_a_program_that_takes_operands_also_gets_those_behind_the_dashes() -> None:
    table = OptionTable({"size": True}, {}, takes_operands=True)
    assert [option.value for option in split(table, ["a", "--size", "--", "--", "-1", "--size"])] == [
        "a",
        "--",
        "-1",
        "--size",
    ]


def test_a_negative_number_is_no_option_where_the_program_expects_it() -> None:
    table = OptionTable({"quiet": False}, {"q": "quiet"}, takes_operands=True, negative_operand=1)
    assert [option.value for option in split(table, ["a", "-1G", "-q"])] == ["a", "-1G", ""]


@pytest.mark.parametrize("words", [["-1G", "a"], ["a", "b", "-1G"], ["a", "b", "c", "-1G"]])
def test_elsewhere_it_is_one(words: list[str]) -> None:
    table = OptionTable({"quiet": False}, {"q": "quiet"}, takes_operands=True, negative_operand=1)
    with pytest.raises(UsageError, match="invalid option -- '1'"):
        list(split(table, words))
