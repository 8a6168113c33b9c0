"""Check options that are recorded and have no effect here, so that what QEMU refuses is refused."""

from collections.abc import Callable, Mapping

from qmpserver.cli.machine.flat import Warn, one_of, read_flat
from qmpserver.errors import ParameterError, QMPError, error_text
from qmpserver.machine.option_parameters import Parameters
from qmpserver.numerals import integer
from qmpserver.options import keyval
from qmpserver.options.flat_options import MAX_NUMBER, Kind, boolean, parse, split_pairs
from qmpserver.options.structured import HelpWanted

_LOG_ITEMS = (
    "out_asm in_asm op op_opt op_ind op_plugin int exec cpu fpu mmu pcall cpu_reset unimp guest_errors non-existent "
    "page nochain complete plugin strace tid vpu invalid_mem"
)

_DISPLAYS_NOT_HERE = "default gtk sdl egl-headless curses spice-app dbus"

_ACCELERATORS: Mapping[str, Parameters] = {
    "tcg": {"one-insn-per-tb": "boolean", "split-wx": "boolean", "tb-size": "number", "thread": "string"},
    "kvm": {
        "dirty-ring-size": "number",
        "kernel-irqchip": "string",
        "kvm-shadow-mem": "number",
        "notify-vmexit": "string",
        "notify-window": "number",
        "device": "string",
    },
    "qtest": {},
}
"""What each accelerator is told."""

_COMPAT = {
    "deprecated-input": "accept reject crash",
    "deprecated-output": "accept hide",
    "unstable-input": "accept reject crash",
    "unstable-output": "accept hide",
}

_ACPI_TABLE = "sig rev oem_id oem_table_id oem_rev asl_compiler_id asl_compiler_rev data file"
_MOST_SHIFT = 10
_SMBIOS_TYPES = ("0", "1", "2", "3", "4", "8", "9", "11", "17", "41")


def check(name: str, value: str, warn: Warn) -> None:
    """See whether what stands behind an option makes sense.

    Raises:
        QMPError: It does not.
    """
    checker = _CHECKERS.get(name)
    if checker is not None:
        checker(value, warn)


def check_accelerator(name: str, said: Mapping[str, str]) -> None:
    """See whether there is such an accelerator, and whether it can be told that.

    Raises:
        QMPError: There is none, or it cannot.
    """
    parameters = _ACCELERATORS.get(name)
    if parameters is None:
        raise QMPError(f"invalid accelerator {name}")
    for key, value in said.items():
        if key not in parameters:
            raise QMPError(f"Property '{name}-accel.{key}' not found")
        if parameters[key] == "number":
            _check_number(key, value)
        elif parameters[key] == "boolean":
            boolean(key, value)


def _check_number(key: str, value: str) -> None:
    found = integer(value)
    if found is None or not 0 <= found <= MAX_NUMBER:
        raise ParameterError(f"Parameter '{key}' expects uint64")


def check_display(tree: Mapping[str, keyval.Tree]) -> None:
    """See whether something can be shown there, which is nowhere.

    Raises:
        QMPError: It cannot.
    """
    kind = tree.get("type")
    if kind is None:
        raise ParameterError("Parameter 'type' is missing")
    if isinstance(kind, str) and kind in _DISPLAYS_NOT_HERE.split():
        raise QMPError(f"Display '{kind}' is not available: there is nothing to see")
    if kind != "none":
        raise ParameterError(f"Parameter 'type' does not accept value '{kind}'")
    for key in tree:
        if key not in ("type", "full-screen", "window-close", "show-cursor", "gl"):
            raise ParameterError(f"Parameter '{key}' is unexpected")


def _msg(value: str, warn: Warn) -> None:
    read_flat("msg", value, None, warn)


def _overcommit(value: str, warn: Warn) -> None:
    found = read_flat("overcommit", value, None, warn)
    complaint = "parameter 'mem-lock' expects one of 'on', 'off', 'on-fault'"
    one_of(found.values, "mem-lock", "on off on-fault", complaint)


def _sandbox(value: str, warn: Warn) -> None:
    found = read_flat("sandbox", value, "enable", warn)
    for key, allowed in {
        "obsolete": "allow deny",
        "elevateprivileges": "allow deny children",
        "spawn": "allow deny",
        "resourcecontrol": "allow deny",
    }.items():
        one_of(found.values, key, allowed, f"invalid argument for {key}")


def _compat(value: str, _warn: Warn) -> None:
    for key, said in keyval.parse(value).tree.items():
        if key not in _COMPAT:
            raise ParameterError(f"Parameter '{key}' is unexpected")
        if said not in _COMPAT[key].split():
            raise ParameterError(f"Parameter '{key}' does not accept value '{said}'")


def _smbios(value: str, warn: Warn) -> None:
    # QEMU: a word `help` is passed over.
    found = dict(split_pairs(value, None, warn)[0])
    if "file" in found:
        _check_readable(found["file"])
    elif "type" not in found:
        raise QMPError("Must specify type= or file=")
    elif found["type"] not in _SMBIOS_TYPES:
        raise QMPError(f"Don't know how to build fields for SMBIOS type {found['type']}")


def _acpi_table(value: str, warn: Warn) -> None:
    found = parse(value, dict.fromkeys(_ACPI_TABLE.split(), Kind.STRING), None, warn).values
    if not {"data", "file"} & found.keys():
        raise QMPError("'-acpitable' requires one of 'data' or 'file'")
    for path in str(found.get("data", found.get("file"))).split(":"):
        _check_readable(path)


def _check_readable(path: str) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise QMPError(f"can't open file {path}: {error_text(error)}") from error


def _log_items(value: str, _warn: Warn) -> None:
    for item in value.split(","):
        if item not in _LOG_ITEMS.split() and not item.startswith("trace:"):
            raise QMPError(f"'{item}' is none of {', '.join(_LOG_ITEMS.split())} and trace:PATTERN")


def _seed(value: str, _warn: Warn) -> None:
    if not value.isdecimal():
        raise QMPError(f"Invalid seed number: {value}")


def _firmware_item(value: str, warn: Warn) -> None:
    known = dict.fromkeys(("name", "file", "string", "gen_id"), Kind.STRING)
    found = parse(value, known, "name", warn).values
    sources = [key for key in ("file", "string", "gen_id") if found.get(key)]
    if not found.get("name") or len(sources) != 1:
        raise QMPError("name, plus exactly one of file, string and gen_id, are needed")
    if "file" in found:
        _check_readable(str(found["file"]))


def _instruction_count(value: str, warn: Warn) -> None:
    switches = dict.fromkeys(("align", "sleep"), Kind.BOOLEAN)
    texts = dict.fromkeys(("shift", "rr", "rrfile", "rrsnapshot"), Kind.STRING)
    found = parse(value, {**switches, **texts}, "shift", warn).values
    if "rr" in found:
        raise QMPError("not supported: nothing runs that could be recorded or replayed")
    shift = str(found.get("shift", "auto"))
    if shift != "auto" and not (shift.isdecimal() and int(shift) <= _MOST_SHIFT):
        raise QMPError("icount: Invalid shift value")


def _only_none(value: str, _warn: Warn) -> None:
    if value != "none":
        raise QMPError("not supported: only 'none' is, since there is nothing to see or to debug")


def _audio(value: str, _warn: Warn) -> None:
    parsed = keyval.parse(value, "driver")
    if parsed.wants_help:
        raise HelpWanted("Available audio drivers:\nnone")
    if parsed.tree.get("driver") != "none":
        raise QMPError("no audio but 'none' is supported")


_CHECKERS: Mapping[str, Callable[[str, Warn], None]] = {
    "acpitable": _acpi_table,
    "audio": _audio,
    "compat": _compat,
    "d": _log_items,
    "fw_cfg": _firmware_item,
    "gdb": _only_none,
    "icount": _instruction_count,
    "msg": _msg,
    "overcommit": _overcommit,
    "sandbox": _sandbox,
    "seed": _seed,
    "smbios": _smbios,
    "vnc": _only_none,
}
"""What has to be checked; other options mean whatever they say."""
