"""Say and choose which parts of the program log in detail."""

from typing import Any

from qmpserver import log
from qmpserver.errors import QMPError
from qmpserver.machine.machine import Machine
from qmpserver.traced import fitting

_WILDCARDS = frozenset("*?")


def trace_event_get_state(machine: Machine, *, name: str) -> list[dict[str, Any]]:
    """Say which parts that a name means log in detail."""
    del machine
    return [
        {"name": part, "state": "enabled" if log.get_logger(part).is_on("debug") else "disabled"}
        for part in sorted(_meant(name))
    ]


def trace_event_set_state(
    machine: Machine, *, name: str, enable: bool, ignore_unavailable: bool = False
) -> None:
    """Let the parts that a name means log in detail, or let them not."""
    del machine, ignore_unavailable
    meant = _meant(name)
    log.set_detailed(log.detailed() | meant if enable else log.detailed() - meant)


def _meant(name: str) -> frozenset[str]:
    found = fitting(name)
    if not found and not _WILDCARDS & set(name):
        raise QMPError(f'unknown event "{name}"')
    return found
