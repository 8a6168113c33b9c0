"""Understand ``--monitor``, which names a chardev, and ``--qmp``, which is both in one."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from qmpserver.chardevs.options import Chardev, parse_chardev
from qmpserver.errors import ParameterError, QMPError
from qmpserver.options import structured
from qmpserver.options.flat_options import SWITCHES, check_id

MEMBERS = ("id", "mode", "pretty", "chardev")
MODES = ("control", "readline")
SYSTEMD = "systemd"

_SHORT = re.compile(r"(?P<kind>unix|tcp|fd):(?P<address>(?:[^,]|,,)*)(?P<rest>,.*)?\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class MonitorOptions:
    """What one ``--monitor`` says.

    Attributes:
        chardev_id: By what way its clients come in.
        pretty: Its messages are indented for people.
    """

    chardev_id: str
    pretty: bool


def parse_monitor(text: str) -> MonitorOptions:
    """Understand one ``--monitor``.

    Raises:
        QMPError: It is malformed, or asks for QEMU's monitor for people.
    """
    argument = structured.parse(text, "chardev")
    values = argument.tree if argument.is_json else _from_strings(argument.tree)
    for name in ("id", "mode", "chardev"):
        if not isinstance(values.get(name, ""), str):
            raise ParameterError(f"Invalid parameter type for '{name}', expected: string")
    mode = values.get("mode", "control")
    if mode not in MODES:
        raise ParameterError(f"Parameter 'mode' does not accept value '{mode}'")
    if not isinstance(values.get("pretty", False), bool):
        raise ParameterError("Invalid parameter type for 'pretty', expected: boolean")
    if "chardev" not in values:
        raise ParameterError("Parameter 'chardev' is missing")
    for name in values:
        if name not in MEMBERS:
            raise ParameterError(f"Parameter '{name}' is unexpected")
    check_id(values.get("id", "monitor"))
    if mode == "readline":
        raise QMPError("Only QMP is supported")
    return MonitorOptions(values["chardev"], values.get("pretty", False))


def _from_strings(tree: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(tree)
    pretty = values.get("pretty")
    if isinstance(pretty, str):
        if pretty not in SWITCHES:
            raise ParameterError("Parameter 'pretty' expects 'on' or 'off'")
        values["pretty"] = SWITCHES[pretty]
    return values


def parse_short_form(text: str, chardev_id: str, warn: Callable[[str, str], object]) -> Chardev:
    """Understand one ``--qmp`` other than ``systemd``: an address, and what ``--chardev`` takes beside it.

    QEMU: its own short forms connect unless told to listen; here they listen unless told to connect,
    and do not wait for a client.

    Raises:
        QMPError: It is malformed.
    """
    if text == "stdio":
        return parse_chardev(f"stdio,id={chardev_id}", warn)
    found = _SHORT.match(text)
    if found is None:
        raise QMPError(f"'{text}' is none of unix:PATH, tcp:HOST:PORT, fd:N, stdio and systemd")
    address = _ADDRESSES[found["kind"]](found["address"])
    return parse_chardev(
        f"socket,id={chardev_id},server=on,{address}{found['rest'] or ''}", warn, waits_unless_told=False
    )


def _unix(address: str) -> str:
    return f"path={address}"


def _tcp(address: str) -> str:
    host, colon, port = address.rpartition(":")
    if not colon:
        raise QMPError(f"'tcp:{address}' has no port")
    return f"host={host.removeprefix('[').removesuffix(']')},port={port}"


def _descriptor(address: str) -> str:
    return f"fd={address}"


_ADDRESSES: dict[str, Callable[[str], str]] = {"unix": _unix, "tcp": _tcp, "fd": _descriptor}
