"""Make the first pass over the options: how the process is to run, and what the second pass has to do."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from qmpserver.cli.daemon.command_line import OPTIONS, help_text, version_text
from qmpserver.cli.reports import Reporter
from qmpserver.cli.serving.manner import Manner
from qmpserver.errors import QMPError
from qmpserver.options.getopt import Option, split


@dataclass(slots=True)
class Plan(Manner):
    """What the first pass learnt.

    Attributes:
        answer: A text to print instead of running, or None.
        options: What the second pass carries out.
    """

    answer: str | None = None
    options: list[Option] = field(default_factory=list)


def make_plan(program: str, words: Sequence[str], reporter: Reporter) -> Plan | None:
    """Make the first pass.

    Returns:
        The plan, or None when an option was wrong and that has been reported.

    Raises:
        UsageError: An option does not exist or is used wrongly.
    """
    plan = Plan()
    for option in split(OPTIONS, words):
        match option.name:
            case "help":
                plan.answer = help_text(program)
            case "version":
                plan.answer = version_text(program)
            case "daemonize":
                plan.daemonize = True
            case "pidfile":
                plan.pidfile = option.value
            case "trace" | "log-level" | "log-json":
                try:
                    _plan_logging(plan, option, reporter)
                except QMPError as error:
                    reporter.error(str(error), option.written)
                    return None
            case _:
                plan.options.append(option)
        if plan.answer is not None:
            break
    return plan


def _plan_logging(plan: Plan, option: Option, reporter: Reporter) -> None:
    if option.name == "log-json":
        plan.log_json = True
    elif option.name == "log-level":
        plan.choose_log_level(option.value)
    else:
        _plan_tracing(plan, option, reporter)


def _plan_tracing(plan: Plan, option: Option, reporter: Reporter) -> None:
    from qmpserver.cli.serving import tracing  # noqa: PLC0415 - few want it

    def warn(what: str, instead: str) -> None:
        reporter.warning(what, option.written, instead)

    plan.answer = tracing.add_trace(plan, option.value, warn)
