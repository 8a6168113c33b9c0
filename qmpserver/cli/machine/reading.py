"""Read a command line, option by option, into what it asks for.

What an option says by itself is checked here; what depends on others is left to :mod:`board` and
:mod:`carry_out`, as QEMU does.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from uuid import UUID

from qmpserver.cli.machine import effectless, texts
from qmpserver.cli.machine.config_file import add_to_earlier, read_config
from qmpserver.cli.machine.flat import Warn, group_help, kinds, read_flat
from qmpserver.cli.machine.options import NOT_HERE, OTHER_TARGETS
from qmpserver.cli.machine.wanted import Wanted
from qmpserver.cli.reports import Reporter
from qmpserver.cli.serving.option_error import OptionError
from qmpserver.cli.serving.privileges import find_identity
from qmpserver.errors import ParameterError, QMPError
from qmpserver.machine.run_state import Actions
from qmpserver.options import keyval
from qmpserver.options.flat_options import HELP_WORDS, check_id, parse, split_pairs
from qmpserver.options.getopt import STRAY, Option
from qmpserver.options.structured import HelpWanted

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_PLAIN_NUMBER = re.compile(r"(size=)?[0-9]+\Z")

_ACTIONS = {
    "reboot": "reset shutdown",
    "shutdown": "poweroff pause",
    "panic": "pause shutdown exit-failure none",
    "watchdog": "reset shutdown poweroff pause debug none inject-nmi",
}
"""What may follow on each thing that a guest does."""

_MAKING = (
    "add-fd audiodev blockdev cdrom chardev debugcon device drive fda fdb hda hdb hdc hdd mon monitor mtdblock netdev "
    "net nic numa object parallel pflash qmp qmp-pretty sd usbdevice"
)
_STEPS = frozenset(_MAKING.split())
"""Options that make something on the server."""

_CHANNELS = ("defer", "tcp", "unix", "fd", "exec", "file", "rdma", "vsock")
"""What a machine can be migrated through."""

_RUN_WITH = {"async-teardown": "boolean", "chroot": "string", "exit-with-parent": "boolean", "user": "string"}

_BOARD_TEXTS = {
    "kernel": "kernel",
    "initrd": "initrd",
    "append": "append",
    "dtb": "dtb",
    "bios": "firmware",
    "shim": "shim",
}
_BOARD_SWITCHES = {"usb": ("usb", "on"), "no-acpi": ("acpi", "off"), "no-hpet": ("hpet", "off")}


def read(options: list[Option], reporter: Reporter) -> Wanted:
    """Read all options in order, up to one that asks for a text.

    Raises:
        OptionError: One is wrong.
    """
    wanted = Wanted()
    for option in options:
        try:
            _read_one(wanted, option, _warning(option, reporter))
        except QMPError as error:
            raise OptionError(error.description, option.written) from error
        except HelpWanted as help_wanted:
            wanted.answer = f"{help_wanted}\n"
        if wanted.answer is not None:
            return wanted
    _check_together(wanted)
    return wanted


def _warning(option: Option, reporter: Reporter) -> Warn:
    return lambda what, instead: reporter.warning(what, option.written, instead)


def _read_one(wanted: Wanted, option: Option, warn: Warn) -> None:
    name, value = option.name, option.value
    _refuse_what_is_not_here(name)
    wanted.recorded.setdefault(name, []).append(value)
    if name in _STEPS or name == STRAY:
        wanted.steps.append(option)
        if name == "usbdevice":
            wanted.board.setdefault("usb", "on")
    elif name in _BOARD_TEXTS:
        wanted.board[_BOARD_TEXTS[name]] = value
    elif name in _BOARD_SWITCHES:
        key, setting = _BOARD_SWITCHES[name]
        wanted.board[key] = setting
    elif name == "set":
        add_to_earlier(wanted.steps, value)
    elif name == "readconfig":
        for inner in read_config(option):
            _read_one(wanted, inner, warn)
    elif name in _READERS:
        _READERS[name](wanted, option, warn)
    else:
        effectless.check(name, value, warn)


def _refuse_what_is_not_here(name: str) -> None:
    if name in NOT_HERE:
        raise QMPError("not supported: there is no such thing here")
    if name in OTHER_TARGETS:
        raise QMPError("Option not supported for this target")


def _check_together(wanted: Wanted) -> None:
    """See to options that need or exclude each other."""
    if "kernel" not in wanted.board:
        for key in ("append", "initrd", "dtb"):
            if key in wanted.board:
                raise OptionError(f"-{key} only allowed with -kernel option")
    if wanted.loadvm is not None and wanted.incoming is not None:
        raise OptionError("'incoming' and 'loadvm' options are mutually exclusive")
    if wanted.daemonize:
        if wanted.is_nographic and wanted.has_defaults and not _says_all_ways_in(wanted):
            raise OptionError("-nographic cannot be used with -daemonize")
        for option in (*wanted.steps, *wanted.serials):
            if option.value.removeprefix("mon:").partition(",")[0] == "stdio":
                raise OptionError("cannot use stdio with -daemonize", option.written)


def _says_all_ways_in(wanted: Wanted) -> bool:
    """Say whether nothing is left that would use the terminal by default."""
    return bool(wanted.serials and wanted.of("parallel") and wanted.of("monitor", "mon", "qmp", "qmp-pretty"))


# What the machine is


def _machine(wanted: Wanted, option: Option, _warn: Warn) -> None:
    parsed = keyval.parse(option.value, "type")
    if parsed.wants_help:
        board = parsed.tree.get("type")
        wanted.answer = texts.board_help(board if isinstance(board, str) else None)
        return
    _merge(wanted.board, parsed.tree)
    if wanted.board.get("type") in ("help", "?"):
        wanted.answer = texts.board_help(None)


def _merge(into: dict[str, keyval.Tree], tree: Mapping[str, keyval.Tree]) -> None:
    for key, value in tree.items():
        known = into.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            _merge(known, value)
        else:
            into[key] = value


def _nested(key: str, implied: str) -> Callable[[Wanted, Option, Warn], None]:
    """Return what reads an option that is part of the board's."""

    def read_nested(wanted: Wanted, option: Option, _warn: Warn) -> None:
        parsed = keyval.parse(option.value, implied)
        if parsed.wants_help:
            raise HelpWanted(group_help(f"{key}-opts"))
        _merge(wanted.board, {key: dict(parsed.tree)})

    return read_nested


def _accel(wanted: Wanted, option: Option, warn: Warn) -> None:
    said = dict(split_pairs(option.value, "accel", warn)[0])
    name = said.pop("accel", "help")
    if name in HELP_WORDS:
        wanted.answer = texts.ACCELERATORS
        return
    check_id(said.pop("id", "none"))
    effectless.check_accelerator(name, said)
    wanted.accelerators.append(name)


def _enable_kvm(wanted: Wanted, _option: Option, _warn: Warn) -> None:
    wanted.accelerators.append("kvm")


def _cpu(wanted: Wanted, option: Option, _warn: Warn) -> None:
    if option.value in ("help", "?"):
        wanted.answer = texts.cpu_help()
    wanted.cpu = option.value


def _memory(wanted: Wanted, option: Option, warn: Warn) -> None:
    first, comma, rest = option.value.partition(",")
    # Without a unit it is megabytes.
    text = f"{first}M" if _PLAIN_NUMBER.match(first) else first
    try:
        found = read_flat("memory", text + comma + rest, "size", warn)
    except ParameterError as error:
        raise OptionError(error.description, option.written) from error
    wanted.memory.update({key: int(value) for key, value in found.values.items()})


def _name(wanted: Wanted, option: Option, warn: Warn) -> None:
    found = read_flat("name", option.value, "guest", warn)
    if "guest" in found.values:
        wanted.name = str(found.values["guest"])


def _uuid(wanted: Wanted, option: Option, _warn: Warn) -> None:
    if not _UUID.match(option.value):
        raise QMPError("failed to parse UUID string: wrong format")
    wanted.uuid = UUID(option.value)


def _rtc(wanted: Wanted, option: Option, warn: Warn) -> None:
    found = read_flat("rtc", option.value, "base" if "=" not in option.value else None, warn)
    wanted.rtc.update({key: str(value) for key, value in found.values.items()})


# What happens to it


def _starts_paused(wanted: Wanted, _option: Option, _warn: Warn) -> None:
    wanted.starts_paused = True


def _no_shutdown(wanted: Wanted, _option: Option, _warn: Warn) -> None:
    wanted.actions = replace(wanted.actions, shutdown="pause")


def _no_reboot(wanted: Wanted, _option: Option, _warn: Warn) -> None:
    wanted.actions = replace(wanted.actions, reboot="shutdown")


def _action(wanted: Wanted, option: Option, warn: Warn) -> None:
    found = read_flat("action", option.value, None, warn)
    for key, value in found.values.items():
        wanted.actions = _changed(wanted.actions, key, str(value))


def _watchdog_action(wanted: Wanted, option: Option, _warn: Warn) -> None:
    wanted.actions = _changed(wanted.actions, "watchdog", option.value)


def _changed(actions: Actions, key: str, value: str) -> Actions:
    if value not in _ACTIONS[key].split():
        raise ParameterError(f"Parameter '{key}' does not accept value '{value}'")
    said: dict[str, str] = {key: value}
    return replace(actions, **said)


def _incoming(wanted: Wanted, option: Option, _warn: Warn) -> None:
    kind = option.value.partition(":")[0]
    if not option.value.startswith("{") and kind not in _CHANNELS:
        if ":" in option.value:
            raise OptionError(f"unknown migration protocol: {option.value}", option.written)
        raise ParameterError(f"Parameter 'channel-type' does not accept value '{kind}'")
    wanted.incoming = option


def _loadvm(wanted: Wanted, option: Option, _warn: Warn) -> None:
    wanted.loadvm = option.value


# What it shows


def _display(wanted: Wanted, option: Option, _warn: Warn) -> None:
    parsed = keyval.parse(option.value, "type")
    kind = parsed.tree.get("type")
    if kind in ("help", "?") or parsed.wants_help:
        wanted.answer = texts.DISPLAYS
        return
    effectless.check_display(parsed.tree)
    wanted.display = str(kind)


def _nographic(wanted: Wanted, _option: Option, _warn: Warn) -> None:
    wanted.is_nographic = True
    wanted.display = "none"


def _vga(wanted: Wanted, option: Option, _warn: Warn) -> None:
    if option.value in ("help", "?"):
        wanted.answer = texts.ADAPTERS
        return
    wanted.vga = option.value


def _no_defaults(wanted: Wanted, _option: Option, _warn: Warn) -> None:
    wanted.has_defaults = False


def _snapshot(wanted: Wanted, _option: Option, _warn: Warn) -> None:
    wanted.is_snapshot = True


def _serial(wanted: Wanted, option: Option, _warn: Warn) -> None:
    wanted.serials.append(option)


def _qtest(wanted: Wanted, option: Option, _warn: Warn) -> None:
    wanted.qtest = option


def _global(wanted: Wanted, option: Option, warn: Warn) -> None:
    driver, dot, rest = option.value.partition(".")
    name, equals, value = rest.partition("=")
    if dot and equals and "=" not in driver and "," not in driver:
        wanted.settings.append((driver, name, value))
        return
    found = read_flat("global", option.value, None, warn).values
    if not {"driver", "property", "value"} <= found.keys():
        raise QMPError("options 'driver', 'property', and 'value' are required")
    wanted.settings.append((str(found["driver"]), str(found["property"]), str(found["value"])))


# How the process runs


def _run_with(wanted: Wanted, option: Option, warn: Warn) -> None:
    found = parse(option.value, kinds(_RUN_WITH), None, warn).values
    if found.get("exit-with-parent"):
        raise QMPError("exit-with-parent is not supported")
    if "user" in found:
        wanted.user = _known_user(str(found["user"]))
    if "chroot" in found:
        wanted.chroot = str(found["chroot"])


def _run_as(wanted: Wanted, option: Option, _warn: Warn) -> None:
    wanted.user = _known_user(option.value)


def _known_user(text: str) -> str:
    find_identity(text)
    return text


def _daemonize(wanted: Wanted, _option: Option, _warn: Warn) -> None:
    wanted.daemonize = True


def _pidfile(wanted: Wanted, option: Option, _warn: Warn) -> None:
    wanted.pidfile = option.value


def _log_path(wanted: Wanted, option: Option, _warn: Warn) -> None:
    wanted.log_path = option.value


def _log_level(wanted: Wanted, option: Option, _warn: Warn) -> None:
    wanted.choose_log_level(option.value)


def _log_json(wanted: Wanted, _option: Option, _warn: Warn) -> None:
    wanted.log_json = True


def _trace(wanted: Wanted, option: Option, warn: Warn) -> None:
    from qmpserver.cli.serving import tracing  # noqa: PLC0415 - few want it

    wanted.answer = tracing.add_trace(wanted, option.value, warn)


def _help(wanted: Wanted, _option: Option, _warn: Warn) -> None:
    wanted.answer = texts.help_text()


def _version(wanted: Wanted, _option: Option, _warn: Warn) -> None:
    wanted.answer = texts.version_text()


_READERS: Mapping[str, Callable[[Wanted, Option, Warn], None]] = {
    "D": _log_path,
    "M": _machine,
    "S": _starts_paused,
    "accel": _accel,
    "action": _action,
    "boot": _nested("boot", "order"),
    "cpu": _cpu,
    "daemonize": _daemonize,
    "display": _display,
    "enable-kvm": _enable_kvm,
    "global": _global,
    "h": _help,
    "help": _help,
    "incoming": _incoming,
    "loadvm": _loadvm,
    "log-json": _log_json,
    "log-level": _log_level,
    "m": _memory,
    "machine": _machine,
    "name": _name,
    "no-reboot": _no_reboot,
    "no-shutdown": _no_shutdown,
    "nodefaults": _no_defaults,
    "nographic": _nographic,
    "pidfile": _pidfile,
    "qtest": _qtest,
    "rtc": _rtc,
    "run-with": _run_with,
    "runas": _run_as,
    "serial": _serial,
    "smp": _nested("smp", "cpus"),
    "snapshot": _snapshot,
    "trace": _trace,
    "uuid": _uuid,
    "version": _version,
    "vga": _vga,
    "watchdog-action": _watchdog_action,
}
