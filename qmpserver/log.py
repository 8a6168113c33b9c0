"""Log with structlog, which is imported when something is first logged: start-up does not pay for it.

An event is a short lower-case phrase; the rest is keys.  Secrets and guest data are never logged.
"""

import logging
import sys
from collections.abc import Collection
from typing import Any, TextIO

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
"""What can be logged, by how much it matters."""

_settings: dict[str, Any] = {"level": "warning", "json": False, "detailed": (), "stream": None, "own": None}
_configured = False


class Logger:
    """A named logger; keys given to :meth:`bind` go with everything it logs."""

    __slots__ = ("_keys",)

    def __init__(self, keys: dict[str, Any]) -> None:
        self._keys = keys

    def bind(self, **keys: Any) -> "Logger":
        """Return a logger that adds `keys`."""
        return Logger({**self._keys, **keys})

    def debug(self, event: str, **keys: Any) -> None:
        """Log what only somebody hunting a fault wants to see."""
        self._log("debug", event, keys)

    def info(self, event: str, **keys: Any) -> None:
        """Log what an operator may want to know afterwards."""
        self._log("info", event, keys)

    def warning(self, event: str, **keys: Any) -> None:
        """Log what may need attention."""
        self._log("warning", event, keys)

    def error(self, event: str, **keys: Any) -> None:
        """Log what went wrong."""
        self._log("error", event, keys)

    def is_on(self, level: str) -> bool:
        """Say whether events of that level are logged at all."""
        return (
            LEVELS[level] >= LEVELS[_settings["level"]] or self._keys.get("logger") in _settings["detailed"]
        )

    def _log(self, level: str, event: str, keys: dict[str, Any]) -> None:
        if self.is_on(level):
            _structlog().get_logger().log(LEVELS[level], event, **self._keys, **keys)


def get_logger(name: str) -> Logger:
    """Return the logger of one part of the program."""
    return Logger({"logger": name})


def configure(
    level: str = "warning",
    *,
    as_json: bool = False,
    detailed: Collection[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Choose what is logged, in which form, and where to.

    Args:
        level: `debug`, `info`, `warning` or `error`; what is less is not logged.
        as_json: One JSON object a line, for machines.
        detailed: Names of loggers that log everything, whatever the level.
        stream: Where to; standard error when not given.
    """
    _settings.update(level=level, json=as_json, detailed=detailed)
    _change_stream(stream, None)


def set_level(level: str) -> None:
    """Choose the level below which nothing is logged but by the detailed loggers."""
    _settings["level"] = level


def write_to(path: str) -> None:
    """Append to a file from now on, line by line.

    Raises:
        OSError: It cannot be opened.
    """
    file = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - closed by _change_stream
    _change_stream(file, file)


def _change_stream(stream: TextIO | None, own: TextIO | None) -> None:
    """Log to a stream from now on, and close the one before if it was our own."""
    global _configured  # noqa: PLW0603 - logging is the process's own
    if (before := _settings["own"]) is not None:
        before.close()
    _settings.update(stream=stream, own=own)
    _configured = False


def detailed() -> frozenset[str]:
    """Return the names of loggers that log everything, whatever the level."""
    return frozenset(_settings["detailed"])


def set_detailed(names: Collection[str]) -> None:
    """Choose by name the loggers that log everything, whatever the level."""
    _settings["detailed"] = frozenset(names)


def _structlog() -> Any:
    global _configured  # noqa: PLW0603 - logging is the process's own

    import structlog  # noqa: PLC0415 - 60 ms that only those pay who log

    if not _configured:
        stream = _settings["stream"] or sys.stderr
        renderer = (
            structlog.processors.JSONRenderer()
            if _settings["json"]
            else structlog.dev.ConsoleRenderer(colors=stream.isatty())
        )
        structlog.configure(
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso"),
                structlog.processors.format_exc_info
                if _settings["json"]
                else structlog.processors.StackInfoRenderer(),
                renderer,
            ],
            wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
            logger_factory=structlog.PrintLoggerFactory(stream),
            cache_logger_on_first_use=False,
        )
        _configured = True
    return structlog
