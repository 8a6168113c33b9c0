"""Show the processors that the machine has in name."""

from typing import Any

from qmpserver.errors import QMPError
from qmpserver.machine.cpu_expansion import expand, find_model
from qmpserver.machine.cpu_models import CPU_MODELS, CpuModel
from qmpserver.machine.machine import Machine
from qmpserver.machine.processors import Place, path_of, places


def query_cpus_fast(machine: Machine) -> list[dict[str, Any]]:
    """List the processors."""
    return [
        {
            "cpu-index": place.index,
            "qom-type": machine.config.cpu_type,
            "qom-path": path_of(place.index),
            "thread-id": machine.processor_threads.thread_id(place.index),
            "props": place.to_wire(),
            "target": "x86_64",
        }
        for place in _places(machine)[: machine.config.topology.cpus]
    ]


def query_hotpluggable_cpus(machine: Machine) -> list[dict[str, Any]]:
    """List where processors are or can be, the last place first."""
    if not machine.config.board.hotpluggable_cpus:
        raise QMPError("machine does not support hot-plugging CPUs")
    found = []
    for place in reversed(_places(machine)):
        info: dict[str, Any] = {
            "type": machine.config.cpu_type,
            "vcpus-count": 1,
            "props": place.to_wire(),
        }
        if place.index < machine.config.topology.cpus:
            info["qom-path"] = path_of(place.index)
        found.append(info)
    return found


def _places(machine: Machine) -> list[Place]:
    if machine.config.cpu_model is None:
        return []
    return places(machine.config.topology, has_nodes=machine.config.memory.slots > 0)


def query_cpu_definitions(machine: Machine) -> list[dict[str, Any]]:
    """List the models."""
    del machine
    return [_model_info(model) for model in CPU_MODELS.values()]


def _model_info(model: CpuModel) -> dict[str, Any]:
    info: dict[str, Any] = {
        "name": model.name,
        "typename": model.qom_type,
        # Nothing runs, so that nothing is missing but what the name itself asks for.
        "unavailable-features": ["kvm"] if model.needs_kvm else [],
        "static": model.is_static,
        "migration-safe": model.is_migration_safe,
        "deprecated": False,
    }
    if model.alias_of is not None:
        info["alias-of"] = model.alias_of
    return info


def query_cpu_model_expansion(machine: Machine, *, type: str, model: dict[str, Any]) -> dict[str, Any]:  # noqa: A002 - the wire's name
    """Say what a model comes to."""
    del machine
    return {"model": expand(find_model(model["name"]), type, model.get("props"))}
