"""What is said on standard error."""

import os

import pytest

from qmpserver.cli.reports import Reporter


def test_an_error_names_the_program_and_the_option(capfd: pytest.CaptureFixture[str]) -> None:
    Reporter("qmpserver").error("Parameter 'driver' is missing", "--blockdev x")
    assert capfd.readouterr().err == "qmpserver: --blockdev x: Parameter 'driver' is missing\n"


def test_some_errors_have_a_hint_below(capfd: pytest.CaptureFixture[str]) -> None:
    Reporter("qmpserver").error("Parameter 'id' expects an identifier")
    assert capfd.readouterr().err == (
        "qmpserver: Parameter 'id' expects an identifier\n"
        "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.\n"
    )


def test_a_warning_says_what_to_write_instead(capfd: pytest.CaptureFixture[str]) -> None:
    Reporter("qmpserver").warning("short", "-T x", "Please use long instead")
    assert capfd.readouterr().err == "qmpserver: -T x: warning: short\nPlease use long instead\n"


def test_words_that_are_not_unicode_come_out_as_they_were(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    Reporter("qmpserver").error("wrong", os.fsdecode(b"--blockdev \xff"))
    assert capfdbinary.readouterr().err == b"qmpserver: --blockdev \xff: wrong\n"
