"""Turn on the detailed log that ``--trace`` asks for."""

from qmpserver import log
from qmpserver.cli.command_line import Failure
from qmpserver.cli.reports import Reporter
from qmpserver.cli.serving.manner import Manner
from qmpserver.cli.serving.tracing import add_trace
from qmpserver.errors import QMPError, error_text
from qmpserver.traced import traced_loggers


def start(text: str, reporter: Reporter) -> str | None:
    """Log what fits, besides what is logged in detail already; return the list of what there is if that was asked for.

    Raises:
        Failure: What is asked for cannot be understood, or the log cannot be written.
    """
    manner = Manner()
    try:
        answer = add_trace(manner, text, lambda what, instead: reporter.warning(what, hint=instead))
        if manner.log_path is not None:
            log.write_to(manner.log_path)
    except QMPError as error:
        raise Failure(error.description) from error
    except OSError as error:
        raise Failure(f"Error opening logfile {error.filename}: {error_text(error)}") from error
    log.set_detailed(traced_loggers(manner.trace_patterns, log.detailed()))
    return answer
