"""Read the tool's options one after the other, and refuse the first whose value is no good."""

from collections.abc import Callable, Sequence

from qmpserver.cli.command_line import Answer, Given, Tool
from qmpserver.cli.nbd.command_line import OPTIONS, help_text, version_text
from qmpserver.errors import QMPError
from qmpserver.numerals import integer
from qmpserver.options.cache_modes import MODES
from qmpserver.options.getopt import STRAY, split
from qmpserver.options.host_modes import AIO_MODES, DISCARD_MODES

MAX_NAME = 4096
"""Bytes of an export's name, or of its description."""

_MAX_INT = (1 << 31) - 1
_MAX_OFFSET = (1 << 64) - 1


def read_options(tool: Tool, words: Sequence[str]) -> Given:
    """Read a command line.

    Raises:
        Answer: It asks for a text.
        UsageError: An option does not exist or is used wrongly.
        QMPError: A value is no good.
    """
    given = Given(tool)
    for option in split(OPTIONS, words):
        if option.name == STRAY:
            given.operands.append(option.value)
            continue
        check = _CHECKS.get(option.name)
        if check is not None:
            check(given, option.value)
        given.values.setdefault(option.name, []).append(option.value)
    return given


def offset_of(given: Given) -> int:
    """Return how many bytes at the beginning are left out; negative for a number that wraps around in C."""
    offset = integer(given.last("offset") or "0") or 0
    return offset - (1 << 64) if offset >= 1 << 63 else offset


def count_of(given: Given, option: str, default: int) -> int:
    """Return the value of an option that is a number."""
    text = given.last(option)
    return default if text is None else integer(text) or 0


def _help(given: Given, _value: str) -> None:
    raise Answer(help_text(given.tool.invoked))


def _version(given: Given, _value: str) -> None:
    raise Answer(version_text(given.tool.invoked))


def _cache(given: Given, mode: str) -> None:
    if given.has("cache") or given.has("nocache"):
        raise QMPError("-n and --cache can only be specified once")
    if mode not in MODES:
        raise QMPError(f"Invalid cache mode `{mode}'")


def _nocache(given: Given, _value: str) -> None:
    _cache(given, "none")


def _aio(given: Given, mode: str) -> None:
    _once(given, "aio")
    if mode not in AIO_MODES:
        raise QMPError(f"Invalid aio mode '{mode}'")


def _discard(given: Given, mode: str) -> None:
    _once(given, "discard")
    if mode not in DISCARD_MODES:
        raise QMPError(f"Invalid discard mode `{mode}'")


def _once(given: Given, option: str) -> None:
    if given.has(option):
        raise QMPError(f"--{option} can only be specified once")


def _detect_zeroes(given: Given, mode: str) -> None:
    if mode not in {"off", "on", "unmap"}:
        raise QMPError(f"Failed to parse detect_zeroes mode: invalid parameter value: {mode}")
    # QEMU: what is given behind this option counts for nothing here.
    if mode == "unmap" and DISCARD_MODES[given.last("discard") or "ignore"] != "unmap":
        raise QMPError(
            "setting detect-zeroes to unmap is not allowed without setting discard operation to unmap"
        )


def _offset(_given: Given, text: str) -> None:
    offset = integer(text)
    if offset is None or abs(offset) > _MAX_OFFSET:
        raise QMPError(f"Invalid offset '{text}'")


def _shared(_given: Given, text: str) -> None:
    _check_count("shared device number", text)


def _handshake_limit(_given: Given, text: str) -> None:
    _check_count("handshake limit", text)


def _check_count(what: str, text: str) -> None:
    number = integer(text)
    if number is None or not 0 <= number <= _MAX_INT:
        raise QMPError(f"Invalid {what} '{text}'")


def _socket(_given: Given, path: str) -> None:
    if not path.startswith("/"):
        raise QMPError("socket path must be absolute")


def _export_name(_given: Given, name: str) -> None:
    _check_length("export name", name)


def _description(_given: Given, text: str) -> None:
    _check_length("export description", text)


def _check_length(what: str, text: str) -> None:
    if len(text.encode("utf-8", "surrogateescape")) > MAX_NAME:
        raise QMPError(f"{what} '{text}' too long")


def _load_snapshot(given: Given, text: str) -> None:
    from qmpserver.cli.images.internal_snapshot import snapshot_name  # noqa: PLC0415 - few want it

    try:
        snapshot_name(text)
    except QMPError as error:
        given.tool.reporter.error(error.description)
        raise QMPError(f"Failed in parsing snapshot param `{text}'") from error


def _object(_given: Given, text: str) -> None:
    """Answer whoever asks which objects there are; whether this one is good comes out when it is made."""
    from qmpserver.options import structured  # noqa: PLC0415 - few name objects
    from qmpserver.options.object_help import object_help  # noqa: PLC0415 - likewise
    from qmpserver.schema.loader import load  # noqa: PLC0415 - likewise

    try:
        structured.parse(text, "qom-type", lambda asked: object_help(load(), asked))
    except structured.HelpWanted as wanted:
        raise Answer(f"{wanted}\n") from wanted


def _trace(given: Given, text: str) -> None:
    from qmpserver.cli import tracing  # noqa: PLC0415 - few want it

    if (answer := tracing.start(text, given.tool.reporter)) is not None:
        raise Answer(answer)


_CHECKS: dict[str, Callable[[Given, str], None]] = {
    "help": _help,
    "version": _version,
    "cache": _cache,
    "nocache": _nocache,
    "aio": _aio,
    "discard": _discard,
    "detect-zeroes": _detect_zeroes,
    "offset": _offset,
    "shared": _shared,
    "handshake-limit": _handshake_limit,
    "socket": _socket,
    "export-name": _export_name,
    "description": _description,
    "load-snapshot": _load_snapshot,
    "object": _object,
    "trace": _trace,
}
