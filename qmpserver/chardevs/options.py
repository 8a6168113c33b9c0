"""Understand ``--chardev``: by what way a client comes in.

Read here: the backends ``socket``, ``stdio``, ``null``, ``file``, ``pipe``, ``pty``, ``ringbuf`` and ``memory``.  QEMU's
other backends, and what of a socket is no plain stream (telnet, websocket, TLS, a multiplexer, a
log), are refused by name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from qmpserver.chardevs.store import NOT_SERVED, SERVED
from qmpserver.errors import QMPError
from qmpserver.options.flat_options import Kind, Value, parse
from qmpserver.options.structured import HelpWanted

_STRINGS = (
    "backend chardev chardevs.0 chardevs.1 chardevs.2 chardevs.3 encoding fd host input-path localaddr "
    "localport logfile name path port tls-authz tls-creds"
)
_BOOLEANS = (
    "abstract append clipboard delay ipv4 ipv6 logappend logtimestamp mouse mux nodelay server signal "
    "telnet tight tn3270 wait websocket"
)
_NUMBERS = "cols debug height reconnect-ms rows to width"

KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(_STRINGS.split(), Kind.STRING),
    **dict.fromkeys(_BOOLEANS.split(), Kind.BOOLEAN),
    **dict.fromkeys(_NUMBERS.split(), Kind.NUMBER),
    "size": Kind.SIZE,
}
"""The keys of QEMU 11.1, whichever backend reads them."""


_MISSING_PATH = {"file": "filename", "pipe": "device path"}

_DATA: Mapping[str, Mapping[str, str]] = {
    "file": {"path": "out", "input-path": "in", "append": "append"},
    "memory": {"size": "size"},
    "pipe": {"path": "device"},
    "pty": {"path": "path"},
    "ringbuf": {"size": "size"},
}
"""What a backend's keys are called in ``ChardevBackend``."""

_NOT_A_PLAIN_STREAM = ("telnet", "tn3270", "websocket", "mux", "logfile")


@dataclass(frozen=True, slots=True)
class SocketOptions:
    """What a socket's options say, checked against each other.

    Attributes:
        path: A UNIX socket's name, else None.
        abstract: The name is no file's but an abstract one.
        tight: An abstract name is not filled up with zero bytes.
        host: A TCP host, else None.
        port: Its port or service.
        to: The last port to try when listening, or None.
        ipv4: IPv4 may be used; None leaves it to the host.
        ipv6: IPv6 may be used; None leaves it to the host.
        nodelay: Small messages are sent at once.
        descriptor: A passed descriptor's number as it was written, else None.
        is_server: Clients connect to us, not we to them.
        wait: Nothing else is started before the first client is there.
        reconnect_ms: How long to wait before connecting again; 0 is never.
    """

    path: str | None = None
    abstract: bool = False
    tight: bool = True
    host: str | None = None
    port: str = ""
    to: int | None = None
    ipv4: bool | None = None
    ipv6: bool | None = None
    nodelay: bool = False
    descriptor: str | None = None
    is_server: bool = False
    wait: bool = False
    reconnect_ms: int = 0


@dataclass(frozen=True, slots=True)
class Chardev:
    """A way in, by name.

    Attributes:
        chardev_id: What ``--monitor`` calls it.
        backend: One of SERVED.
        socket: What a socket's options say; None for the others.
        data: What the others' options say, as ``ChardevBackend`` has it.
    """

    chardev_id: str
    backend: str
    socket: SocketOptions | None = None
    data: Mapping[str, Value] = field(default_factory=dict)


def parse_chardev(
    text: str, warn: Callable[[str, str], object], *, waits_unless_told: bool = True
) -> Chardev:
    """Understand one ``--chardev``.

    Args:
        text: What the user wrote.
        warn: Told what is deprecated, and what to write instead.
        waits_unless_told: A server that says nothing of `wait` waits for its first client.

    Raises:
        QMPError: It is malformed, contradicts itself, or asks for what is not served.
        HelpWanted: It asks for help.
    """
    options = parse(text, KINDS, "backend", warn)
    if options.wants_help:
        raise HelpWanted("Available chardev backend types:" + "".join(f"\n  {name}" for name in SERVED))
    if options.option_id is None:
        raise QMPError("chardev: no id specified")
    backend = options.values.get("backend")
    if not isinstance(backend, str):
        raise QMPError(f'chardev: "{options.option_id}" missing backend')
    if backend in NOT_SERVED:
        raise QMPError(f"chardev backend '{backend}' is not supported")
    if backend not in SERVED:
        raise QMPError(f"'{backend}' is not a valid char driver name")
    _refuse_what_is_not_served(options.values)
    if backend == "socket":
        return Chardev(options.option_id, backend, _socket_options(options.values, waits_unless_told))
    return Chardev(options.option_id, backend, data=_data(backend, options.values))


def _data(backend: str, values: Mapping[str, Value]) -> dict[str, Value]:
    if backend in _MISSING_PATH and "path" not in values:
        raise QMPError(f"chardev: {backend}: no {_MISSING_PATH[backend]} given")
    names = _DATA.get(backend, {})
    return {names[key]: value for key, value in values.items() if key in names}


def _refuse_what_is_not_served(values: Mapping[str, Value]) -> None:
    for key in _NOT_A_PLAIN_STREAM:
        if values.get(key):
            raise QMPError(f"chardev option '{key}' is not supported")


def _socket_options(values: Mapping[str, Value], waits_unless_told: bool) -> SocketOptions:
    path, host, descriptor = (_string(values, key) for key in ("path", "host", "fd"))
    if sum(given is not None for given in (path, host, descriptor)) > 1:
        raise QMPError("None or one of 'path', 'fd' or 'host' option required.")
    if host is not None and "port" not in values:
        raise QMPError("chardev: socket: no port given")
    if "delay" in values and "nodelay" in values:
        raise QMPError("'delay' and 'nodelay' are mutually exclusive")
    if path is None and host is None:
        # QEMU: a socket that names no address is taken for a descriptor without a number.
        descriptor = descriptor or ""
    _check_direction(values)
    if "tls-creds" in values:
        raise QMPError(f"No TLS credentials with id '{values['tls-creds']}'")
    is_server = bool(values.get("server", False))
    return SocketOptions(
        path=path,
        abstract=bool(values.get("abstract", False)),
        tight=bool(values.get("tight", True)),
        host=host,
        port=str(values.get("port", "")),
        to=int(values["to"]) if "to" in values else None,
        ipv4=bool(values["ipv4"]) if "ipv4" in values else None,
        ipv6=bool(values["ipv6"]) if "ipv6" in values else None,
        nodelay=bool(values.get("nodelay", not values.get("delay", True))),
        descriptor=descriptor,
        is_server=is_server,
        wait=bool(values.get("wait", is_server and waits_unless_told)),
        reconnect_ms=int(values.get("reconnect-ms", 0)),
    )


def _check_direction(values: Mapping[str, Value]) -> None:
    if values.get("server"):
        if "reconnect-ms" in values:
            raise QMPError("'reconnect-ms' option is incompatible with socket in server listen mode")
    elif "wait" in values:
        raise QMPError("'wait' option is incompatible with socket in client connect mode")


def _string(values: Mapping[str, Value], key: str) -> str | None:
    value = values.get(key)
    return None if value is None else str(value)
