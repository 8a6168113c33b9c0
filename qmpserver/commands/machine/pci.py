"""Show what is on PCI buses."""

from typing import Any

from qmpserver.machine.devices.pci_info import pci_info
from qmpserver.machine.machine import Machine


def query_pci(machine: Machine) -> list[dict[str, Any]]:
    """Show the PCI devices of every root bus."""
    return pci_info(machine.devices.buses())
