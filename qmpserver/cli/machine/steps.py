"""Make on the server what the command line names, each option by what it says."""

import fcntl
import os
import re
from collections.abc import Mapping
from typing import Any

from qmpserver.cli.machine.flat import Warn, read_flat
from qmpserver.errors import ParameterError, QMPError
from qmpserver.machine.machine import Machine
from qmpserver.options import structured
from qmpserver.options.flat_options import check_id, split_pairs
from qmpserver.options.getopt import Option
from qmpserver.options.object_help import object_help
from qmpserver.schema.model import Schema

_STANDARD_DESCRIPTORS = 2
_UNEXPECTED = re.compile(r"Parameter '(.*)' is unexpected")
_NETDEVS = (
    "none nic user tap l2tpv3 socket stream dgram vde bridge hubport netmap vhost-user vhost-vdpa passt"
)
_NETDEV_HELP = "\n".join(
    ["Available netdev backend types:", *(name for name in _NETDEVS.split() if name != "none")]
)


def add_fd(machine: Machine, option: Option, warn: Warn) -> None:
    """Put a descriptor that was passed to the program into a set.

    Raises:
        QMPError: It is none.
    """
    found = read_flat("add-fd", option.value, None, warn).values
    descriptor, fdset_id = found.get("fd"), found.get("set")
    if not isinstance(descriptor, int):
        raise QMPError("fd option is required and must be non-negative")
    if descriptor <= _STANDARD_DESCRIPTORS:
        raise QMPError("fd cannot be a standard I/O stream")
    try:
        is_ours = bool(fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC)
    except OSError:
        is_ours = True
    if is_ours:
        raise QMPError("fd is not valid or already in use")
    if not isinstance(fdset_id, int):
        raise QMPError("set option is required and must be non-negative")
    opaque = found.get("opaque")
    os.set_inheritable(descriptor, False)
    machine.fd_sets.add(descriptor, fdset_id, None if opaque is None else str(opaque))


def object_options(schema: Schema, option: Option, known: Mapping[str, Any]) -> dict[str, Any]:
    """Read an object.

    Args:
        schema: What objects there are.
        option: The option.
        known: The objects that there are already, by id.

    Raises:
        QMPError: It is malformed.
        HelpWanted: It asks for help.
    """
    argument = structured.parse(option.value, "qom-type", lambda asked: object_help(schema, asked))
    try:
        options = argument.as_type(schema.type("ObjectOptions"))
    except ParameterError as error:
        found = None if argument.is_json else _UNEXPECTED.fullmatch(error.description)
        if found is None:
            raise
        raise ParameterError(f"Invalid parameter '{found[1]}'") from error
    if not argument.is_json:
        check_id(options["id"])
    if not argument.is_json and options["id"] in known:
        raise QMPError(f"Duplicate ID '{options['id']}' for object")
    return options


def add_netdev(machine: Machine, option: Option) -> None:
    """Remember a network backend, which carries nothing.

    Raises:
        QMPError: It is malformed, or its id is taken.
    """
    tree = structured.parse(option.value, "type", lambda _asked: _NETDEV_HELP).tree
    kind, netdev_id = tree.get("type"), tree.get("id")
    if kind is None:
        raise ParameterError("Parameter 'type' is missing")
    if kind not in _NETDEVS.split():
        raise ParameterError(f"Parameter 'type' does not accept value '{kind}'")
    if option.name != "netdev":
        return
    if not isinstance(netdev_id, str):
        raise ParameterError("Parameter 'id' is missing")
    check_id(netdev_id)
    if netdev_id in machine.netdevs:
        raise QMPError(f"Duplicate ID '{netdev_id}' for netdev")
    machine.netdevs.add(netdev_id)


def check_numa(option: Option) -> None:
    """See whether something is said of NUMA nodes, of which there are none.

    Raises:
        QMPError: It makes no sense.
    """
    kind = structured.parse(option.value, "type").tree.get("type")
    if kind not in ("node", "dist", "cpu", "hmat-lb", "hmat-cache"):
        raise ParameterError(f"Parameter 'type' does not accept value '{kind}'")


def driver_of(text: str, key: str) -> str:
    """Return what an option is of, before anything else of it is read; empty when that cannot be told."""
    if not text.startswith("{"):
        return text.partition(",")[0].removeprefix(f"{key}=")
    try:
        return str(structured.json_object(text).get(key, ""))
    except QMPError:
        return ""


def flat_pairs(option: Option, implied: str | None, warn: Warn) -> dict[str, str]:
    """Read an option whose parameters depend on what it makes."""
    pairs, _ = split_pairs(option.value, implied, warn)
    return dict(pairs)
