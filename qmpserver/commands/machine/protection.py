"""Say that nothing keeps a guest from its host."""

from typing import Any

from qmpserver.machine.machine import Machine


def query_tpm(machine: Machine) -> list[dict[str, Any]]:
    """List no TPM devices."""
    del machine
    return []


def query_tpm_models(machine: Machine) -> list[str]:
    """List no models."""
    del machine
    return []


def query_tpm_types(machine: Machine) -> list[str]:
    """List nothing that a device could lead to."""
    del machine
    return []


def query_sev(machine: Machine) -> dict[str, Any]:
    """Say that memory is not encrypted."""
    del machine
    return {
        "enabled": False,
        "api-major": 0,
        "api-minor": 0,
        "build-id": 0,
        "state": "uninit",
        "sev-type": "sev",
        "policy": 0,
        "handle": 0,
    }
