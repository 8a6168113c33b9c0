"""Read where a TCP socket is as a person writes it: ``host:port``, ``[::1]:10809,ipv6=on``."""

import re
from typing import Any, Final

from qmpserver.errors import QMPError
from qmpserver.options.flat_options import Kind, parse

_ADDRESS: Final = re.compile(r"(?:\[([^\]]*)\]|([^:\[][^:]*|)):(.+)", re.DOTALL)
_KINDS: Final = {
    "addr": Kind.STRING,
    "numeric": Kind.BOOLEAN,
    "to": Kind.NUMBER,
    "ipv4": Kind.BOOLEAN,
    "ipv6": Kind.BOOLEAN,
    "keep-alive": Kind.BOOLEAN,
    "keep-alive-count": Kind.NUMBER,
    "keep-alive-idle": Kind.NUMBER,
    "keep-alive-interval": Kind.NUMBER,
    "mptcp": Kind.BOOLEAN,
}


def parse_inet(text: str) -> dict[str, Any]:
    """Return an address as ``InetSocketAddress``.

    Raises:
        QMPError: It is none, or has an option that there is not.
    """
    options = dict(parse(text, _KINDS, "addr", lambda _what, _instead: None).values)
    address = str(options.pop("addr", ""))
    found = _ADDRESS.fullmatch(address)
    if found is None:
        kind = "IPv6 address" if address.startswith("[") else "address"
        raise QMPError(f"error parsing {kind} '{address}'")
    host, port = found[1] if found[1] is not None else found[2], found[3]
    return {"host": host, "port": port, **options}
