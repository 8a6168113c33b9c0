"""Say what the machine is."""

import os
from typing import Any

from qmpserver.errors import QMPError
from qmpserver.machine.boards import BOARDS, Board
from qmpserver.machine.machine import Machine
from qmpserver.machine.option_parameters import PARAMETERS

_KVM_DEVICE = "/dev/kvm"


def query_name(machine: Machine) -> dict[str, Any]:
    """Say what it is called."""
    return {} if machine.config.name is None else {"name": machine.config.name}


def query_uuid(machine: Machine) -> dict[str, Any]:
    """Say which machine it is."""
    return {"UUID": str(machine.config.uuid)}


def query_target(machine: Machine) -> dict[str, Any]:
    """Say which processors it has."""
    del machine
    return {"arch": "x86_64"}


def query_kvm(machine: Machine) -> dict[str, Any]:
    """Say whether KVM is used, or could be: clients compare it with what they see of the device themselves."""
    return {"enabled": machine.config.accelerator == "kvm", "present": _kvm_is_usable()}


def query_accelerators(machine: Machine) -> dict[str, Any]:
    """Say which accelerators there are."""
    present = ["kvm", "tcg"] if _kvm_is_usable() else ["tcg"]
    return {"enabled": machine.config.accelerator, "present": present}


def _kvm_is_usable() -> bool:
    return os.access(_KVM_DEVICE, os.R_OK | os.W_OK)


def query_machines(machine: Machine, *, compat_props: bool = False) -> list[dict[str, Any]]:
    """List the boards."""
    del machine
    return [_board_info(board, with_properties=compat_props) for board in BOARDS.values()]


def _board_info(board: Board, *, with_properties: bool) -> dict[str, Any]:
    info: dict[str, Any] = {
        "name": board.name,
        "cpu-max": board.cpu_max,
        "hotpluggable-cpus": board.hotpluggable_cpus,
        "numa-mem-supported": False,
        "deprecated": board.deprecated,
        "default-ram-id": board.default_ram_id,
        "acpi": board.acpi,
    }
    if board.alias is not None:
        info["alias"] = board.alias
    if board.is_default:
        info["is-default"] = True
    if board.default_cpu_type is not None:
        info["default-cpu-type"] = board.default_cpu_type
    if with_properties:
        info["compat-props"] = []
    return info


def query_current_machine(machine: Machine) -> dict[str, Any]:
    """Say what it can do."""
    return {"wakeup-suspend-support": machine.state.can_wake_up}


def query_command_line_options(machine: Machine, *, option: str | None = None) -> list[dict[str, Any]]:
    """List the options that have parameters."""
    del machine
    if option is not None and option not in PARAMETERS:
        raise QMPError(f"invalid option name: {option}")
    return [
        {"option": name, "parameters": [{"name": key, "type": kind} for key, kind in parameters.items()]}
        for name, parameters in PARAMETERS.items()
        if option in (None, name)
    ]


def query_vm_generation_id(machine: Machine) -> dict[str, Any]:
    """Refuse: no device has such an identifier."""
    del machine
    raise QMPError("VM Generation ID device not found")


def query_acpi_ospm_status(machine: Machine) -> list[dict[str, Any]]:
    """Show that the guest has said nothing of any slot."""
    board, config = machine.config.board, machine.config
    if not board.can_wake_up:
        if board.family == "microvm":
            return []
        raise QMPError("command is not supported, missing ACPI device")
    slots = [("DIMM", config.memory.slots), ("CPU", config.topology.max_cpus)]
    return [
        {"slot": str(number), "slot-type": kind, "source": 0, "status": 0}
        for kind, count in slots
        for number in range(count)
    ]


def rtc_reset_reinjection(machine: Machine) -> None:
    """Forget missed interrupts, of which there are none."""
    del machine
