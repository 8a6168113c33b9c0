"""Read the rules of a blkdebug node from a configuration file.

A file has sections ``[inject-error]`` and ``[set-state]``, each with lines ``name = "value"``.
"""

import re
from collections.abc import Callable
from typing import Any

from qmpserver.drivers.blkdebug.rules import EVENTS, Injection, IoType, Transition
from qmpserver.errors import QMPError, error_text

_NAMED_SECTION = re.compile(r'\s*\[(\S+) "([^"]+)"\]')
_SECTION = re.compile(r"\s*\[([^\]]+)\]?")
_VALUE = re.compile(r'\s*(\S+) = "([^"]*)"?')
_NO_VALUE = re.compile(r"\s*(\S+) =")


def _number(name: str, text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise QMPError(f"Parameter '{name}' expects a number") from None


def _switch(name: str, text: str) -> bool:
    if text not in ("on", "off"):
        raise QMPError(f"Parameter '{name}' expects 'on' or 'off'")
    return text == "on"


def _choice(choices: frozenset[str]) -> Callable[[str, str], str]:
    def read(_name: str, text: str) -> str:
        if text not in choices:
            raise QMPError(f"invalid parameter value: {text}")
        return text

    return read


_EVENT = _choice(EVENTS)

_MEMBERS: dict[str, dict[str, Callable[[str, str], Any]]] = {
    "inject-error": {
        "event": _EVENT,
        "state": _number,
        "iotype": _choice(frozenset(kind.value for kind in IoType)),
        "errno": _number,
        "delay-ns": _number,
        "sector": _number,
        "once": _switch,
        "immediately": _switch,
    },
    "set-state": {"event": _EVENT, "state": _number, "new_state": _number},
}


def read_config(filename: str) -> tuple[list[Injection], list[Transition]]:
    """Return the errors and the changes of state that a file describes.

    Raises:
        QMPError: The file cannot be read or understood; the texts are QEMU's.
    """
    try:
        with open(filename, encoding="utf-8", errors="replace") as file:
            lines = file.readlines()
    except OSError as error:
        raise QMPError(f"Could not open '{filename}': {error_text(error)}") from error
    sections: list[tuple[str, dict[str, Any]]] = []
    for line in lines:
        _read_line(line, sections)
    for _, members in sections:
        if "event" not in members:
            raise QMPError("Missing event name for rule")
    return (
        [Injection.from_options(members) for name, members in sections if name == "inject-error"],
        [Transition.from_options(members) for name, members in sections if name == "set-state"],
    )


def _read_line(line: str, sections: list[tuple[str, dict[str, Any]]]) -> None:
    if line.startswith("#") or not line.strip():
        return
    if match := _NAMED_SECTION.match(line) or _SECTION.match(line):
        if match[1] not in _MEMBERS:
            raise QMPError(f"There is no option group '{match[1]}'")
        sections.append((match[1], {}))
        return
    match = _VALUE.match(line) or _NO_VALUE.match(line)
    if not sections:
        raise QMPError("no group defined")
    if match is None:
        raise QMPError("parse error")
    group, members = sections[-1]
    read = _MEMBERS[group].get(match[1])
    if read is None:
        raise QMPError(f"Invalid parameter '{match[1]}'")
    members[match[1]] = read(match[1], match[2] if match.re is _VALUE else "")
