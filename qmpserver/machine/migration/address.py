"""Say where a machine's state goes to or comes from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from qmpserver.errors import QMPError
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


def _parse_tcp(rest: str) -> TcpAddress:
    address = rest.split(",", 1)[0]
    host, colon, port = address.rpartition(":")
    if not colon or not port:
        raise QMPError(f"error parsing address '{address}'")
    return TcpAddress(host.removeprefix("[").removesuffix("]"), port)


def _parse_file(rest: str) -> FileAddress:
    filename, found, offset = rest.rpartition(OFFSET)
    if not found:
        return FileAddress(rest)
    try:
        return FileAddress(filename, int(offset, 0))
    except ValueError as error:
        raise QMPError(f"file URI has bad offset {offset}: Invalid argument") from error


_PARSERS: Mapping[str, Callable[[str], MigrationAddress]] = {
    "unix": UnixAddress,
    "tcp": _parse_tcp,
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
            return TcpAddress(
                address["host"],
                address["port"],
                last_port=address.get("to"),
                use_ipv4=address.get("ipv4"),
                use_ipv6=address.get("ipv6"),
            )
        case {"transport": "socket", "type": "fd"}:
            return DescriptorAddress(address["str"])
        case _:
            raise QMPError(f"Migration over {address.get('type', address['transport'])} is not supported")
