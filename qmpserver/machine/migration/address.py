"""Say where a machine's state goes to or comes from."""

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from qmpserver.errors import QMPError
from qmpserver.numerals import parse_size
from qmpserver.options.inet_address import parse_inet
from qmpserver.sockets import TcpAddress, UnixAddress


@dataclass(frozen=True, slots=True)
class FileAddress:
    """A file.

    Attributes:
        filename: Its name.
        offset: Where in it the state begins, in bytes.
    """

    filename: str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class ExecAddress:
    """A program that reads the state from its standard input, or writes it to its output."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DescriptorAddress:
    """A descriptor that was passed with a name, or is inherited and has only its number."""

    name: str


MigrationAddress: TypeAlias = UnixAddress | TcpAddress | FileAddress | ExecAddress | DescriptorAddress

OFFSET = ",offset="
"""QEMU: what separates the name of a file from where in it the state begins."""


def choose(uri: str | None, channels: Sequence[Mapping[str, Any]] | None) -> MigrationAddress:
    """Return the address that the arguments of a command name.

    Raises:
        QMPError: They name none, more than one, or one of a kind that cannot be had.
    """
    if uri is not None and channels:
        raise QMPError("need either 'uri' or 'channels' argument")
    if uri is not None:
        return parse(uri)
    if not channels:
        raise QMPError("need either 'uri' or 'channels' argument")
    main = [channel for channel in channels if channel["channel-type"] == "main"]
    if len(main) > 1:
        raise QMPError("Channel list has more than one main entry")
    if len(main) != len(channels):
        raise QMPError("Migration over a channel of type 'cpr' is not supported")
    return _from_wire(main[0]["addr"])


def parse(uri: str) -> MigrationAddress:
    """Return the address that a URI means.

    Raises:
        QMPError: It means none.
    """
    protocol, _, rest = uri.partition(":")
    parser = _PARSERS.get(protocol)
    if parser is None or not uri.startswith(f"{protocol}:"):
        raise QMPError(f"unknown migration protocol: {uri}")
    return parser(rest)


def _parse_file(rest: str) -> FileAddress:
    filename, found, offset = rest.rpartition(OFFSET)
    if not found:
        return FileAddress(rest)
    begin = parse_size(offset)
    if begin is None or not 0 <= begin < 1 << 64:
        code = errno.EINVAL if begin is None else errno.ERANGE
        raise QMPError(f"file URI has bad offset {offset}: {os.strerror(code)}")
    return FileAddress(filename, begin)


_PARSERS: Mapping[str, Callable[[str], MigrationAddress]] = {
    "unix": UnixAddress,
    "tcp": lambda rest: _inet(parse_inet(rest)),
    "fd": DescriptorAddress,
    "file": _parse_file,
    "exec": lambda rest: ExecAddress(("/bin/sh", "-c", rest)),
}


def _from_wire(address: Mapping[str, Any]) -> MigrationAddress:
    match address:
        case {"transport": "file"}:
            return FileAddress(address["filename"], address["offset"])
        case {"transport": "exec", "args": []}:
            raise QMPError("Migration over exec needs a program")
        case {"transport": "exec"}:
            return ExecAddress(tuple(address["args"]))
        case {"transport": "socket", "type": "unix"}:
            return UnixAddress(address["path"], address.get("abstract", False), address.get("tight", True))
        case {"transport": "socket", "type": "inet"}:
            return _inet(address)
        case {"transport": "socket", "type": "fd"}:
            return DescriptorAddress(address["str"])
        case _:
            raise QMPError(f"Migration over {address.get('type', address['transport'])} is not supported")


def _inet(address: Mapping[str, Any]) -> TcpAddress:
    return TcpAddress(
        address["host"],
        address["port"],
        last_port=address.get("to"),
        use_ipv4=address.get("ipv4"),
        use_ipv6=address.get("ipv6"),
    )
