"""Understand the short forms that ``-serial`` and ``-monitor`` name a chardev by.

    stdio  null  pty  file:PATH  pipe:PATH  unix:PATH[,server=on][,wait=off]  tcp:HOST:PORT[,...]

Read here: those above.  QEMU's others (a multiplexer, virtual consoles, telnet, UDP, devices of the host) are
refused by name.
"""

from qmpserver.chardevs.options import Chardev, parse_chardev
from qmpserver.errors import QMPError

_PLAIN = ("stdio", "null", "pty")
_PATHS = ("file", "pipe")
_NOT_SERVED = [
    "mon",
    "vc",
    "con",
    "msmouse",
    "wctablet",
    "braille",
    "testdev",
    "telnet",
    "tn3270",
    "websocket",
    "udp",
    "COM",
    "/dev/",
    "serial",
    "parallel",
    "spicevmc",
]


def parse_legacy(label: str, text: str) -> Chardev:
    """Understand one short form.

    Args:
        label: What the chardev is to be called.
        text: What the user wrote.

    Raises:
        QMPError: It is malformed, or asks for what is not served.
    """
    kind, colon, rest = text.partition(":")
    if text.partition(",")[0] in _PLAIN:
        options = text
    elif colon and kind in _PATHS:
        options = f"{kind},path={rest}"
    elif colon and kind == "unix":
        options = f"socket,path={rest}"
    elif colon and kind == "tcp":
        options = _tcp(text, rest)
    else:
        if kind in _NOT_SERVED or text.startswith("/dev/"):
            raise QMPError(f"chardev '{text}' is not supported")
        raise QMPError(f"'{text}' is not a valid char driver")
    return parse_chardev(f"{options},id={label}", lambda _what, _instead: None)


def _tcp(text: str, rest: str) -> str:
    address, comma, options = rest.partition(",")
    host, colon, port = address.rpartition(":")
    if not colon:
        raise QMPError(f"parse error: {text}")
    return f"socket,host={host.removeprefix('[').removesuffix(']')},port={port}{comma}{options}"
