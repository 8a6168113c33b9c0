"""Hand the machine to another process, and show how that goes: ``migrate*`` and ``info migrate*``."""

from collections.abc import Mapping
from typing import Any

from qmpserver.errors import ParameterError, QMPError
from qmpserver.machine.hmp.command import Arguments, HumanCommand, calling
from qmpserver.machine.hmp.parameters import Kind, flag, mebibytes, text
from qmpserver.machine.hmp.session import HumanSession
from qmpserver.machine.hmp.state_text import on_off
from qmpserver.numerals import integer
from qmpserver.options.flat_options import boolean, size
from qmpserver.units import NS_PER_MS

_UNITS = {
    "announce-initial": "ms",
    "announce-max": "ms",
    "announce-step": "ms",
    "max-bandwidth": "bytes/second",
    "avail-switchover-bandwidth": "bytes/second",
    "max-postcopy-bandwidth": "bytes/second",
    "downtime-limit": "ms",
    "x-checkpoint-delay": "ms",
    "xbzrle-cache-size": "bytes",
    "x-vcpu-dirty-limit-period": "ms",
    "vcpu-dirty-limit": "MB/s",
    "x-rdma-chunk-size": "bytes",
}
_SHOWN = (
    "announce-initial announce-max announce-rounds announce-step throttle-trigger-threshold cpu-throttle-initial "
    "cpu-throttle-increment cpu-throttle-tailslow max-cpu-throttle tls-creds tls-hostname tls-authz max-bandwidth "
    "avail-switchover-bandwidth max-postcopy-bandwidth downtime-limit x-checkpoint-delay multifd-channels "
    "multifd-compression zero-page-detection xbzrle-cache-size x-vcpu-dirty-limit-period vcpu-dirty-limit mode "
    "direct-io x-rdma-chunk-size"
)
_ENDS = ("completed", "failed", "cancelled")
_LOOK_EVERY_NS = 100 * NS_PER_MS
_IN_MEBIBYTES = ("max-bandwidth", "avail-switchover-bandwidth")
_NUMBERS = frozenset(
    [
        "cpu-throttle-increment",
        "cpu-throttle-initial",
        "max-cpu-throttle",
        "multifd-channels",
        "multifd-qatzip-level",
        "multifd-zlib-level",
        "multifd-zstd-level",
        "throttle-trigger-threshold",
        "x-checkpoint-delay",
    ]
)
"""Figures that are plain numbers.  QEMU: all others may have a suffix, as if they were sizes."""

_TEXTS = ("tls-creds", "tls-hostname", "tls-authz")


async def _migrate(session: HumanSession, arguments: Arguments) -> str:
    await session.call("migrate", {"uri": arguments["uri"], "resume": arguments["resume"] or None})
    if arguments["detach"]:
        return ""
    if not session.is_interactive:
        return "terminal does not allow synchronous migration, continuing detached\n"
    while (shown := await session.call("query-migrate"))["status"] not in _ENDS:
        await session.machine.clock.sleep(_LOOK_EVERY_NS)
    return f"Error: {shown['error-desc']}\n" if "error-desc" in shown else ""


async def _set_capability(session: HumanSession, arguments: Arguments) -> str:
    name = arguments["capability"]
    if all(each["capability"] != name for each in await session.call("query-migrate-capabilities")):
        raise ParameterError(f"invalid parameter value: {name}")
    change = {"capability": name, "state": arguments["state"]}
    await session.call("migrate-set-capabilities", {"capabilities": [change]})
    return ""


async def _set_parameter(session: HumanSession, arguments: Arguments) -> str:
    name, written = arguments["parameter"], arguments["value"]
    known: Mapping[str, Any] = await session.call("query-migrate-parameters")
    if name not in known or isinstance(known[name], list):
        raise ParameterError(f"invalid parameter value: {name}")
    await session.call("migrate-set-parameters", {name: _value(name, written, known[name])})
    return ""


def _value(name: str, written: str, known: object) -> Any:
    """Return a parameter's value as what it is now is, too."""
    if isinstance(known, bool):
        return boolean(name, written)
    if not isinstance(known, int):
        return written
    if name in _IN_MEBIBYTES:
        bytes_, end = mebibytes(written) or (0, 0)
        if not end or end != len(written):
            raise QMPError(f"Invalid size {written}")
        return bytes_
    if name not in _NUMBERS:
        return size(name, written)
    number = integer(written)
    if number is None:
        raise ParameterError(f"Parameter '{name}' expects uint64")
    return number


async def _info(session: HumanSession, arguments: Arguments) -> str:
    shown: Mapping[str, Any] = await session.call("query-migrate")
    lines = []
    if "status" in shown:
        lines.append(f"Status: \t\t{shown['status']}")
    if "error-desc" in shown:
        lines[-1] += f" ({shown['error-desc']})"
    for member, label in (("total-time", "total time"), ("downtime", "downtime"), ("setup-time", "setup")):
        if member in shown:
            lines.append(f"{label}: {shown[member]} ms")
    lines += [f"socket address: {_address(each)}" for each in shown.get("socket-address", ())]
    if arguments["all"]:
        lines += ["Globals:", *(f"  {name}: {value}" for name, value in _GLOBALS.items())]
    return "".join(f"{line}\n" for line in lines)


_GLOBALS = {
    "store-global-state": "on",
    "only-migratable": "off",
    "send-configuration": "on",
    "send-section-footer": "on",
    "send-switchover-start": "on",
    "clear-bitmap-shift": 18,
}


def _address(address: Mapping[str, Any]) -> str:
    return str(address.get("path") or f"{address.get('host')}:{address.get('port')}")


async def _info_capabilities(session: HumanSession, _arguments: Arguments) -> str:
    found = await session.call("query-migrate-capabilities")
    return "".join(f"{each['capability']}: {on_off(each['state'])}\n" for each in found)


async def _info_parameters(session: HumanSession, _arguments: Arguments) -> str:
    values: Mapping[str, Any] = await session.call("query-migrate-parameters")
    lines = [_parameter_line(name, values[name]) for name in _SHOWN.split() if name in values]
    commands = " ".join(values.get("cpr-exec-command", ()))
    return "".join(lines) + f"cpr-exec-command:{' ' + commands if commands else ''}\n"


def _parameter_line(name: str, value: object) -> str:
    if name in _TEXTS:
        return f"{name}: '{value}'\n"
    return f"{name}: {on_off(value)}{' ' + _UNITS[name] if name in _UNITS else ''}\n"


COMMANDS = (
    HumanCommand(
        "migrate",
        _migrate,
        "hand the machine to another process (-d: do not wait; -r: go on with what was broken off)",
        "[-d] [-r] uri",
        (flag("detach", "d"), flag("resume", "r"), text("uri")),
    ),
    HumanCommand("migrate_cancel", calling("migrate_cancel"), "call a migration off"),
    HumanCommand(
        "migrate_continue",
        calling("migrate-continue"),
        "go on with a migration that waits",
        "state",
        (text("state"),),
    ),
    HumanCommand(
        "migrate_incoming", calling("migrate-incoming"), "wait for a machine", "uri", (text("uri"),)
    ),
    HumanCommand(
        "migrate_set_capability",
        _set_capability,
        "switch something of migration on or off",
        "capability state",
        (text("capability"), text("state", Kind.SWITCH)),
    ),
    HumanCommand(
        "migrate_set_parameter",
        _set_parameter,
        "change a figure of migration",
        "parameter value",
        (text("parameter"), text("value")),
    ),
)

SHOWING = (
    HumanCommand("migrate", _info, "show how a migration goes (-a: more)", "[-a]", (flag("all", "a"),)),
    HumanCommand("migrate_capabilities", _info_capabilities, "show what is on about migration"),
    HumanCommand("migrate_parameters", _info_parameters, "show the figures of migration"),
)
