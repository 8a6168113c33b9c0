"""Log with structlog, which is imported when something is first logged: start-up does not pay for it.

An event is a short lower-case phrase; the rest is keys.  Secrets and guest data are never logged.
"""

import logging
from collections.abc import Collection
from typing import Any, TextIO

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

_settings: dict[str, Any] = {"level": "warning", "json": False, "detailed": (), "stream": None}
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
            _LEVELS[level] >= _LEVELS[_settings["level"]] or self._keys.get("logger") in _settings["detailed"]
        )

    def _log(self, level: str, event: str, keys: dict[str, Any]) -> None:
        if self.is_on(level):
            _structlog().get_logger().log(_LEVELS[level], event, **self._keys, **keys)


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
    global _configured  # noqa: PLW0603 - logging is the process's own
    _settings.update(level=level, json=as_json, detailed=detailed, stream=stream)
    _configured = False


def detailed() -> frozenset[str]:
    """Return the names of loggers that log everything, whatever the level."""
    return frozenset(_settings["detailed"])


def set_detailed(names: Collection[str]) -> None:
    """Choose by name the loggers that log everything, whatever the level."""
    _settings["detailed"] = frozenset(names)


def _structlog() -> Any:
    global _configured  # noqa: PLW0603 - logging is the process's own
    import sys  # noqa: PLC0415

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
