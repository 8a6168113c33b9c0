"""Say where a server is: a UNIX socket's path, HOST:PORT, [HOST]:PORT, or fd:N."""

import socket
from dataclasses import dataclass

from qmpserver.numerals import decimal

_FD = "fd:"


class AddressError(Exception):
    """Report an address that names no place, in one sentence."""


@dataclass(frozen=True, slots=True)
class UnixPath:
    """A UNIX socket's file."""

    path: str

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class HostPort:
    """A TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Inherited:
    """A connected socket that this process was started with, or made itself.  It leads there once."""

    fd: int

    def __str__(self) -> str:
        return f"{_FD}{self.fd}"

    def take(self) -> socket.socket:
        """Return the socket, which the caller owns from now on.

        Raises:
            OSError: The descriptor is none, or no socket.
        """
        return socket.socket(fileno=self.fd)


Address = UnixPath | HostPort | Inherited


def parse(text: str) -> Address:
    """Read an address.  One colon parts host and port, as in ``qmp-shell``; a path may be written ``unix:PATH``.

    Raises:
        AddressError: The port or the descriptor is no number.
    """
    if text.startswith(_FD):
        return Inherited(_number(text.removeprefix(_FD), text, "descriptor"))
    if text.startswith("unix:"):
        return UnixPath(text.removeprefix("unix:"))
    text = text.removeprefix("tcp:")
    if text.startswith("[") and "]:" in text:
        host, _, port = text[1:].rpartition("]:")
        return HostPort(host, _number(port, text, "port"))
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return HostPort(host, _number(port, text, "port"))
    return UnixPath(text)


def _number(digits: str, text: str, what: str) -> int:
    if not (digits.isascii() and digits.isdigit()) or decimal(digits) > 0xFFFF:
        raise AddressError(f"Bad {what} number: {text}")
    return decimal(digits)
