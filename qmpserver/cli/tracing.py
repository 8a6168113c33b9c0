"""Turn on the detailed log that ``--trace`` asks for."""

from qmpserver import log
from qmpserver.cli.reports import Reporter
from qmpserver.cli.serving import tracing
from qmpserver.errors import QMPError


def start(text: str, reporter: Reporter) -> str | None:
    """Log what fits; return the list of what there is to log if that was asked for instead."""
    try:
        trace = tracing.parse_trace(text, lambda what, instead: reporter.warning(what, hint=instead))
        if "help" in trace.patterns:
            return "".join(f"{name}\n" for name in tracing.CATEGORIES)
        for pattern in trace.patterns:
            name = pattern.removeprefix("-")
            if "*" not in name and not tracing.fitting(name):
                reporter.warning(f"trace event '{name}' does not exist")
        stream = open(trace.log_path, "a", encoding="utf-8") if trace.log_path else None  # noqa: SIM115
    except (QMPError, OSError) as error:
        reporter.warning(str(error))
        return None
    log.configure(detailed=tracing.traced_loggers(trace.patterns), stream=stream)
    return None
