"""What --trace turns on in a tool."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from qmpserver import log
from qmpserver.cli import tracing
from qmpserver.cli.command_line import Failure
from qmpserver.cli.reports import Reporter
from qmpserver.traced import CATEGORIES

REPORTER = Reporter("program")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    log.configure()
    yield
    log.configure()


def test_options_add_up_and_one_may_take_away_what_another_gave() -> None:
    for text in ("nbd", "block", "-nbd", "jobs"):
        assert tracing.start(text, REPORTER) is None
    assert log.detailed() == {"block", "jobs"}


def test_the_log_stays_in_its_file_when_a_later_option_names_none(tmp_path: Path) -> None:
    tracing.start(f"nbd,file={tmp_path / 'log'}", REPORTER)
    tracing.start("block", REPORTER)
    log.get_logger("nbd").debug("a step")
    log.get_logger("block").debug("another")
    assert [line.split("] ")[-1].split()[0] for line in (tmp_path / "log").read_text().splitlines()] == [
        "a",
        "another",
    ]


def test_another_level_leaves_what_is_logged_in_detail() -> None:
    tracing.start("nbd", REPORTER)
    log.set_level("info")
    assert log.get_logger("nbd").is_on("debug")
    assert log.get_logger("block").is_on("info")
    assert not log.get_logger("block").is_on("debug")


def test_who_asks_is_told_what_there_is_and_nothing_is_turned_on() -> None:
    assert tracing.start("help", REPORTER) == "".join(f"{name}\n" for name in CATEGORIES)
    assert log.detailed() == frozenset()


def test_a_name_that_fits_nothing_is_warned_of(capfd: pytest.CaptureFixture[str]) -> None:
    tracing.start("bogus", REPORTER)
    assert capfd.readouterr().err == "program: warning: trace event 'bogus' does not exist\n"


def test_a_log_that_cannot_be_written_is_named() -> None:
    with pytest.raises(Failure, match=r"^Error opening logfile /no/log: No such file or directory$"):
        tracing.start("nbd,file=/no/log", REPORTER)
