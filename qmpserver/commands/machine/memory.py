"""Show the memory that the machine has in name."""

from typing import Any

from qmpserver.errors import DeviceNotActive, ParameterError
from qmpserver.machine.machine import Machine
from qmpserver.machine.memory_backend import MemoryBackend


def query_memory_size_summary(machine: Machine) -> dict[str, Any]:
    """Say how much memory it has."""
    return {"base-memory": machine.memory_size, "plugged-memory": 0}


def query_memory_devices(machine: Machine) -> list[dict[str, Any]]:
    """List the devices that bring memory; there are none."""
    del machine
    return []


def query_memdev(machine: Machine) -> list[dict[str, Any]]:
    """List the objects that memory is of, newest first, and the one that the board makes by itself."""
    found = [item.to_wire() for item in machine.objects.items().values() if isinstance(item, MemoryBackend)]
    found.reverse()
    memory = machine.config.memory
    if memory.backend is None and memory.size:
        own = MemoryBackend(machine.config.board.default_ram_id, "memory-backend-ram", {"size": memory.size})
        found.append(own.to_wire())
    return found


def query_balloon(machine: Machine) -> dict[str, Any]:
    """Say that a balloon leaves the guest everything."""
    _check_balloon(machine)
    return {"actual": machine.memory_size}


def balloon(machine: Machine, *, value: int) -> None:
    """Ask the guest to get by with less; none hears it."""
    _check_balloon(machine)
    if value <= 0:
        raise ParameterError("Parameter 'value' expects a size")


def _check_balloon(machine: Machine) -> None:
    if not machine.has_balloon:
        raise DeviceNotActive("No balloon device has been activated")
