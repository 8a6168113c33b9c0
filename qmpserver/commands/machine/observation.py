"""Say that nothing is counted or recorded of a guest."""

from typing import Any

from qmpserver.errors import QMPError
from qmpserver.machine.machine import Machine


def query_stats(machine: Machine, *, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Show no statistics."""
    del machine, options
    return []


def query_stats_schemas(machine: Machine, *, provider: str | None = None) -> list[dict[str, Any]]:
    """List no statistics."""
    del machine, provider
    return []


def query_dump(machine: Machine) -> dict[str, Any]:
    """Say that memory is not being dumped."""
    del machine
    return {"status": "none", "completed": 0, "total": 0}


def query_replay(machine: Machine) -> dict[str, Any]:
    """Say that the run is neither recorded nor replayed."""
    del machine
    return {"mode": "none", "icount": 0}


def query_rx_filter(machine: Machine, *, name: str | None = None) -> list[dict[str, Any]]:
    """Show no filters: no network device has one."""
    del machine
    if name is not None:
        raise QMPError(f"invalid net client name: {name}")
    return []
