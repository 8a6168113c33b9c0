"""Work out what the machine is to be, and refuse what does not fit together."""

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from qmpserver.cli.machine import cpu, topology
from qmpserver.cli.machine.wanted import Wanted
from qmpserver.cli.reports import Reporter
from qmpserver.cli.serving.option_error import OptionError
from qmpserver.machine.boards import Board, default_board, find_board
from qmpserver.machine.config import MachineConfig, Memory
from qmpserver.machine.option_parameters import board_parameters
from qmpserver.options.flat_options import SWITCHES
from qmpserver.units import NS_PER_MS

_HINT = "\nUse -machine help to list supported machines"
_ACCELERATORS = ("tcg", "kvm", "qtest")
_KVM_DEVICE = "/dev/kvm"
_MOST_SLOTS = 256
_BOOT_DEVICES = "abcdefghijklmnop"
_ADAPTERS = "none std cirrus vmware qxl virtio xenfb tcx cg3"
_UNPLUG_DELAY = "x-unplug-delay-ms"
"""Our own: how long a PCI device takes to go."""

_MOST_DELAY_MS = 24 * 3600 * 1000
_NOT_PROPERTIES = ("type", "accel", "smp", "boot", "kernel-irqchip", "kvm-shadow-mem", _UNPLUG_DELAY)


def make_config(wanted: Wanted, reporter: Reporter) -> MachineConfig:
    """Return what the machine is to be.

    Raises:
        OptionError: It cannot be.
    """
    _check_clock(wanted.rtc)
    board = _board(wanted.board.get("type"))
    memory = _memory(wanted, board)
    _check_properties(board, wanted.board)
    _check_boot(wanted.board.get("boot", {}))
    accelerator = _accelerator(wanted, reporter)
    if wanted.vga is not None and wanted.vga not in _ADAPTERS.split():
        raise OptionError(f"unknown vga type: {wanted.vga}")
    return MachineConfig(
        name=wanted.name or None,
        uuid=wanted.uuid,
        board=board,
        board_options={key: str(value) for key, value in wanted.board.items() if not isinstance(value, dict)},
        accelerator=accelerator,
        cpu_model=cpu.model_of(wanted.cpu, board, accelerator),
        topology=topology.make_topology(wanted.board.get("smp", {}), board),
        memory=memory,
        settings=tuple(wanted.settings),
        starts_paused=wanted.starts_paused,
        incoming=None if wanted.incoming is None else wanted.incoming.value,
        actions=wanted.actions,
        display=wanted.display or "none",
        unplug_delay_ns=_unplug_delay_ms(str(wanted.board.get(_UNPLUG_DELAY, 0))) * NS_PER_MS,
        recorded={name: tuple(values) for name, values in wanted.recorded.items()},
    )


def _check_clock(rtc: Mapping[str, str]) -> None:
    base = rtc.get("base", "utc")
    if base not in ("utc", "localtime"):
        try:
            datetime.fromisoformat(base)
        except ValueError as error:
            raise OptionError(
                "invalid datetime format\nvalid formats: '2006-06-17T16:01:21' or '2006-06-17'"
            ) from error
    for key, allowed in (("clock", "host rt vm"), ("driftfix", "none slew")):
        value = rtc.get(key)
        if value is not None and value not in allowed.split():
            raise OptionError(f"invalid option value '{value}'")


def _board(name: object) -> Board:
    if name is None:
        return default_board()
    board = find_board(str(name))
    if board is None:
        raise OptionError(f'unsupported machine type: "{name}"{_HINT}')
    return board


def _memory(wanted: Wanted, board: Board) -> Memory:
    given = wanted.memory
    backend = wanted.board.get("memory-backend")
    size = given.get("size", 0) or board.default_memory
    slots, max_size = given.get("slots", 0), given.get("maxmem")
    if max_size is None and slots:
        raise OptionError("slots specified but no max-size")
    if max_size is not None and max_size < size:
        raise OptionError(
            f"invalid value of maxmem: maximum memory size ({max_size:#x}) must be at least the initial memory "
            f"size ({size:#x})"
        )
    if slots > _MOST_SLOTS:
        raise OptionError(f"unsupported amount of memory slots: {slots}")
    return Memory(size, slots, max_size, None if backend is None else str(backend), "size" in given)


def _check_properties(board: Board, given: Mapping[str, Any]) -> None:
    known = board_parameters(board.family)
    for key, value in given.items():
        if key in _NOT_PROPERTIES:
            continue
        if key not in known:
            raise OptionError(f"Property '{board.name}-machine.{key}' not found")
        if known[key] == "boolean" and value not in SWITCHES:
            raise OptionError(f"Parameter '{key}' expects 'on' or 'off'")
        if known[key] == "auto" and value not in (*SWITCHES, "auto"):
            raise OptionError(f"Parameter '{key}' does not accept value '{value}'")


def _unplug_delay_ms(written: str) -> int:
    if not (written.isascii() and written.isdecimal() and int(written) <= _MOST_DELAY_MS):
        raise OptionError(f"Parameter '{_UNPLUG_DELAY}' expects a number from 0 to {_MOST_DELAY_MS}")
    return int(written)


def _check_boot(boot: Mapping[str, Any]) -> None:
    known = ("order", "once", "menu", "splash", "splash-time", "reboot-timeout", "strict")
    for key in ("menu", "strict"):
        if key in boot and boot[key] not in SWITCHES:
            raise OptionError(f"Parameter 'boot.{key}' expects 'on' or 'off'")
    for key in boot:
        if key not in known:
            raise OptionError(f"Parameter 'boot.{key}' is unexpected")
    for key in ("order", "once"):
        _check_boot_order(str(boot.get(key, "")))
    _check_number(boot, "splash-time", 0, "splash-time is invalid,it should be a value between 0 and 65535")
    _check_number(
        boot, "reboot-timeout", -1, "reboot timeout is invalid,it should be a value between -1 and 65535"
    )


def _check_boot_order(order: str) -> None:
    for position, letter in enumerate(order):
        if letter not in _BOOT_DEVICES:
            raise OptionError(f"Invalid boot device '{letter}'")
        if letter in order[:position]:
            raise OptionError(f"Boot device '{letter}' was given twice")


def _check_number(boot: Mapping[str, Any], key: str, least: int, complaint: str) -> None:
    if key not in boot:
        return
    try:
        number = int(str(boot[key]))
    except ValueError as error:
        raise OptionError(f"Parameter 'boot.{key}' expects integer") from error
    if not least <= number <= 0xFFFF:
        raise OptionError(complaint)


def _accelerator(wanted: Wanted, reporter: Reporter) -> str:
    """Return the first accelerator that is there, of those asked for."""
    named = wanted.board.get("accel")
    if wanted.accelerators and named is not None:
        raise OptionError('The -accel and "-machine accel=" options are incompatible')
    choices = wanted.accelerators or [name for name in str(named or "").split(":") if name]
    if named is not None and not choices:
        raise OptionError("no accelerator found")
    failed = ""
    for name in choices or ["tcg"]:
        complaint = _why_not(name)
        if complaint is None:
            if failed:
                reporter.error(f"falling back to {'KVM' if name == 'kvm' else name}")
            return name
        failed = complaint
        if name != choices[-1]:
            reporter.error(failed)
    raise OptionError(failed)


def _why_not(name: str) -> str | None:
    if name not in _ACCELERATORS:
        return f"invalid accelerator {name}"
    if name == "kvm" and not os.access(_KVM_DEVICE, os.R_OK | os.W_OK):
        why = "Permission denied" if os.path.exists(_KVM_DEVICE) else "No such file or directory"
        return f"Could not access KVM kernel module: {why}"
    return None
