"""Understand ``--trace``: which parts of the program log in detail, and where to."""

from collections.abc import Callable
from dataclasses import dataclass

from qmpserver.cli.serving.manner import Manner
from qmpserver.errors import QMPError, error_text
from qmpserver.options.flat_options import Kind, parse
from qmpserver.traced import CATEGORIES, fitting

KINDS = {"enable": Kind.STRING, "events": Kind.STRING, "file": Kind.STRING}


@dataclass(frozen=True, slots=True)
class Trace:
    """What one ``--trace`` asks for.

    Attributes:
        patterns: In order; one with a leading ``-`` turns off what it fits.
        log_path: Where the log is to go instead of standard error, or None.
    """

    patterns: tuple[str, ...]
    log_path: str | None


def parse_trace(text: str, warn: Callable[[str, str], object]) -> Trace:
    """Understand one ``--trace``.

    Raises:
        QMPError: It is malformed, or its file of events cannot be read.
    """
    options = parse(text, KINDS, "enable", warn)
    patterns = ["help"] if options.wants_help else []
    if enable := options.values.get("enable"):
        patterns.append(str(enable))
    if events := options.values.get("events"):
        patterns += _read_patterns(str(events))
    log_path = options.values.get("file")
    return Trace(tuple(patterns), None if log_path is None else str(log_path))


def _read_patterns(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as lines:
            stripped = [line.strip() for line in lines]
    except OSError as error:
        raise QMPError(f"{path}: {error_text(error)}") from error
    return [line for line in stripped if line and not line.startswith("#")]


def add_trace(manner: Manner, text: str, warn: Callable[[str, str], object]) -> str | None:
    """Add what one ``--trace`` asks for to the manner in which a process runs.

    Args:
        manner: Changed.
        text: What the user wrote.
        warn: Told of what is deprecated or fits nothing, and of what to write instead.

    Returns:
        The list of what can be traced, if that is asked for, else None.

    Raises:
        QMPError: It is malformed, or its file of events cannot be read.
    """
    trace = parse_trace(text, warn)
    if "help" in trace.patterns:
        return "".join(f"{name}\n" for name in CATEGORIES)
    for pattern in trace.patterns:
        name = pattern.removeprefix("-")
        if "*" not in name and not fitting(name):
            warn(f"trace event '{name}' does not exist", "")
    manner.trace_patterns += trace.patterns
    manner.log_path = trace.log_path or manner.log_path
    return None
