"""The first pass over the options."""

import pytest

from qmpserver.cli.daemon.command_line import OPTIONS
from qmpserver.cli.daemon.plan import Plan, make_plan
from qmpserver.cli.reports import Reporter
from qmpserver.options.getopt import Option, UsageError
from qmpserver.traced import CATEGORIES


def plan_of(*words: str) -> Plan:
    plan = make_plan("qmpserver", words, Reporter("qmpserver"))
    assert plan is not None
    return plan


def test_what_acts_on_the_server_is_left_in_order_for_the_second_pass() -> None:
    plan = plan_of(
        "--blockdev", "x", "stray", "--daemonize", "--qmp", "stdio", "--pidfile", "a", "--pidfile=b"
    )
    assert [option.name for option in plan.options] == ["blockdev", "", "qmp"]
    assert plan.options[0] == Option("blockdev", "x", "--blockdev x")
    assert (plan.daemonize, plan.pidfile, plan.answer) == (True, "b", None)


def test_version_is_answered_before_a_later_wrong_option_is_seen() -> None:
    assert plan_of("--blockdev", "x", "-V", "--bogus").answer == plan_of("--version").answer


def test_a_wrong_option_before_version_is_an_error() -> None:
    with pytest.raises(UsageError):
        plan_of("--bogus", "-V")


def test_the_version_says_which_qmp_is_spoken() -> None:
    answer = plan_of("--version").answer
    assert answer is not None
    first, second = answer.splitlines()
    assert first.startswith("qmpserver version ")
    assert second == "Speaks the QMP of QEMU 11.1.2."


def test_help_names_every_option() -> None:
    answer = plan_of("--help").answer
    assert answer is not None
    assert [name for name in OPTIONS.long if f"--{name}" not in answer] == []


def test_logging_is_planned() -> None:
    plan = plan_of("--log-level", "info", "--log-json", "-T", "monitor,file=log", "-Tjobs")
    assert (plan.log_level, plan.log_json, plan.log_path) == ("info", True, "log")
    assert plan.trace_patterns == ["monitor", "jobs"]


def test_a_wrong_log_level_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert make_plan("qmpserver", ["--log-level", "loud"], Reporter("qmpserver")) is None
    expected = "qmpserver: --log-level loud: Parameter 'log-level' does not accept value 'loud'\n"
    assert capfd.readouterr().err == expected


def test_a_trace_event_that_fits_nothing_is_warned_about(capfd: pytest.CaptureFixture[str]) -> None:
    plan_of("--trace", "nothing", "--trace", "nothing*")
    expected = "qmpserver: --trace nothing: warning: trace event 'nothing' does not exist\n"
    assert capfd.readouterr().err == expected


def test_trace_help_lists_the_loggers_and_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    answer = plan_of("--trace", "help").answer
    assert answer is not None
    assert answer.splitlines() == sorted(CATEGORIES)
    assert capfd.readouterr().err == ""
