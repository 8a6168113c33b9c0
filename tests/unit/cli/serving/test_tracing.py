"""What --trace turns on."""

import re
from pathlib import Path

import pytest

import qmpserver.log
from qmpserver.cli.serving.tracing import Trace, parse_trace
from qmpserver.errors import QMPError
from qmpserver.traced import CATEGORIES, traced_loggers


def no_warning(what: str, instead: str) -> None:
    pytest.fail(f"unexpected warning: {what}")


PATTERNS = [
    ([], set()),
    (["*"], set(CATEGORIES)),
    (["monitor"], {"monitor"}),
    (["qmp_*"], {"monitor"}),
    (["monitor_qmp_cmd_in_band"], {"monitor"}),
    (["*", "-block"], set(CATEGORIES) - {"block"}),
    (["-block", "block"], {"block"}),
    (["nothing_fits"], set()),
]


@pytest.mark.parametrize(("patterns", "loggers"), PATTERNS)
def test_patterns_turn_on_the_loggers_they_fit_in_order(patterns: list[str], loggers: set[str]) -> None:
    assert traced_loggers(patterns) == loggers


def test_every_logger_of_the_program_can_be_traced() -> None:
    package = Path(qmpserver.log.__file__).parent
    names = {
        name
        for source in package.rglob("*.py")
        for name in re.findall(r'get_logger\("([^"]+)"\)', source.read_text("utf-8"))
    }
    assert names <= set(CATEGORIES)


def test_patterns_come_from_the_option_and_from_a_file(tmp_path: Path) -> None:
    events = tmp_path / "events"
    events.write_text("# wanted\nmonitor\n\n  -qmp_*\n")
    assert parse_trace(f"jobs,events={events},file=log", no_warning) == Trace(
        ("jobs", "monitor", "-qmp_*"), "log"
    )


def test_a_missing_file_of_patterns_is_named() -> None:
    with pytest.raises(QMPError, match=r"^/nowhere/events: No such file or directory$"):
        parse_trace("events=/nowhere/events", no_warning)


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(QMPError, match="Invalid parameter 'bogus'"):
        parse_trace("bogus=1", no_warning)
