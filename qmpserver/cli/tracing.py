"""Turn on the detailed log that ``--trace`` asks for."""

from qmpserver import log
from qmpserver.cli.command_line import Failure
from qmpserver.cli.reports import Reporter
from qmpserver.cli.serving import tracing
from qmpserver.errors import QMPError, error_text
from qmpserver.traced import CATEGORIES, fitting, traced_loggers


def start(text: str, reporter: Reporter) -> str | None:
    """Log what fits; return the list of what there is to log if that was asked for instead.

    Raises:
        Failure: What is asked for cannot be understood, or the log cannot be written.
    """
    try:
        trace = tracing.parse_trace(text, lambda what, instead: reporter.warning(what, hint=instead))
        if "help" in trace.patterns:
            return "".join(f"{name}\n" for name in CATEGORIES)
        for pattern in trace.patterns:
            name = pattern.removeprefix("-")
            if "*" not in name and not fitting(name):
                reporter.warning(f"trace event '{name}' does not exist")
        stream = open(trace.log_path, "a", encoding="utf-8") if trace.log_path else None  # noqa: SIM115
    except QMPError as error:
        raise Failure(error.description) from error
    except OSError as error:
        raise Failure(f"Error opening logfile {error.filename}: {error_text(error)}") from error
    log.configure(detailed=traced_loggers(trace.patterns), stream=stream)
    return None
