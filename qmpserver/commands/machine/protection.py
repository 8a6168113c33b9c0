"""Say that nothing keeps a guest from its host."""

from typing import Any, Never

from qmpserver.errors import QMPError
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


# QEMU: each of these has a text of its own where there is nothing to tell.


def query_sev_capabilities(machine: Machine) -> Never:
    """Refuse: nothing here could encrypt memory."""
    del machine
    raise QMPError("KVM not enabled")


def query_sev_launch_measure(machine: Machine) -> Never:
    """Refuse: nothing was measured."""
    del machine
    raise QMPError("SEV launch measurement is not available")


def query_sev_attestation_report(machine: Machine, *, mnonce: str) -> Never:
    """Refuse: memory is not encrypted."""
    del machine, mnonce
    raise QMPError("SEV is not enabled")


def query_sgx(machine: Machine) -> Never:
    """Refuse: there is no memory for enclaves."""
    del machine
    raise QMPError("No EPC regions defined, SGX not available")


def query_sgx_capabilities(machine: Machine) -> Never:
    """Refuse: no enclave would run here, whatever the host has."""
    del machine
    raise QMPError("SGX is not available: no processor runs here")


def query_gic_capabilities(machine: Machine) -> Never:
    """Refuse: processors here are not ARM's."""
    del machine
    raise QMPError("GIC hardware is not available on this target")
