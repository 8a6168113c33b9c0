"""Check the shape of one request: the members around a command, not the command's own arguments."""

from dataclasses import dataclass
from typing import Any

from qmpserver.errors import ParameterError, QMPError
from qmpserver.qmp.messages import NO_ID

CAPABILITIES = ("oob",)
"""What a client may enable while it negotiates."""

KEY = "x-request-key"
"""The member that holds a request's key."""


@dataclass(slots=True)
class Request:
    """What a client asks for.

    Attributes:
        name: The command's name.
        arguments: Its arguments, not checked yet; None when there are none.
        request_id: What to send back with the reply, or :data:`~qmpserver.qmp.messages.NO_ID`.
        is_oob: It is to be run out of band, before requests that came earlier.
        key: By which the same request, made again, is recognised; None for a request like any other.
    """

    name: str
    arguments: dict[str, Any] | None
    request_id: Any
    is_oob: bool
    key: str | None = None


def read_request(message: Any, *, oob_enabled: bool, keys_enabled: bool = False) -> Request:
    """Return the request that a message makes.

    Args:
        message: As JSON gave it.
        oob_enabled: It may ask to be run out of band.
        keys_enabled: It may carry a key.

    Raises:
        QMPError: It is no request; the text is QEMU's.
    """
    if type(message) is not dict:
        raise QMPError("QMP input must be a JSON object")
    name, arguments = message.get("execute"), message.get("arguments")
    request_id = message.get("id", NO_ID)
    known = 1 + (arguments is not None) + (request_id is not NO_ID)
    if type(name) is str and len(message) == known and (arguments is None or type(arguments) is dict):
        return Request(name, arguments, request_id, is_oob=False)
    return _read_unusual(message, oob_enabled=oob_enabled, keys_enabled=keys_enabled)


def _read_unusual(message: dict[str, Any], *, oob_enabled: bool, keys_enabled: bool) -> Request:
    known = {"execute", "arguments", "id"} | ({"exec-oob"} if oob_enabled else set())
    if keys_enabled:
        known.add(KEY)
    for member in message:
        if member not in known:
            raise QMPError(f"QMP input member '{member}' is unexpected")
    for member in ("execute", "exec-oob", KEY):
        if member in message and type(message[member]) is not str:
            raise QMPError(f"QMP input member '{member}' must be a string")
    if "arguments" in message and type(message["arguments"]) is not dict:
        raise QMPError("QMP input member 'arguments' must be an object")
    is_oob = "exec-oob" in message
    if is_oob and "execute" in message:
        raise QMPError("QMP input member 'execute' clashes with 'exec-oob'")
    if not is_oob and "execute" not in message:
        raise QMPError("QMP input lacks member 'execute'")
    name = message["exec-oob" if is_oob else "execute"]
    return Request(name, message.get("arguments"), message.get("id", NO_ID), is_oob, message.get(KEY))


def read_capabilities(arguments: dict[str, Any] | None) -> frozenset[str]:
    """Return what the arguments of ``qmp_capabilities`` enable.

    Raises:
        ParameterError: They are malformed, or name what there is not.
    """
    arguments = arguments or {}
    wanted = arguments.get("enable", [])
    if type(wanted) is not list:
        raise ParameterError("Invalid parameter type for 'enable', expected: array")
    for index, name in enumerate(wanted):
        if type(name) is not str:
            raise ParameterError(f"Invalid parameter type for 'enable[{index}]', expected: string")
        if name not in CAPABILITIES:
            # QEMU: elements of a list have no name where enumerations are read, and "null" is what it prints.
            raise ParameterError(f"Parameter 'null' does not accept value '{name}'")
    for member in arguments:
        if member != "enable":
            raise ParameterError(f"Parameter '{member}' is unexpected")
    return frozenset(wanted)
