"""Say where sockets are, open them as QEMU does, and tell who is at the other end."""

import asyncio
import errno
import os
import socket
import stat
import struct
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import TypeAlias

from qmpserver.errors import QMPError, error_text
from qmpserver.numerals import decimal

_FIRST_PASSED_FD = 3
_MAX_UNIX_PATH = 108
_UCRED = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A UNIX socket.

    Attributes:
        path: Where it is in the file system, or its name when abstract.
        is_abstract: It has a name of the kernel's instead of a file (Linux).
        is_tight: An abstract name is as long as it is, not padded with zeroes to its greatest length.
    """

    path: str
    is_abstract: bool = False
    is_tight: bool = True

    def __str__(self) -> str:
        return f"unix:{self.path}" + (",abstract=on" if self.is_abstract else "")

    def to_kernel(self) -> str | bytes:
        """Return the address as the socket module takes it."""
        if not self.is_abstract:
            return self.path
        name = b"\0" + os.fsencode(self.path)
        return name if self.is_tight else name.ljust(_MAX_UNIX_PATH, b"\0")


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A TCP socket.

    Attributes:
        host: A name or number; empty is every address of this machine.
        port: A number or a service's name; "0" lets the kernel choose.
        last_port: Try the ports from `port` up to this one.
        use_ipv4: None means that IPv4 may be used, True that it must be unless IPv6 must too.
        use_ipv6: Likewise.
    """

    host: str
    port: str
    last_port: int | None = None
    use_ipv4: bool | None = None
    use_ipv6: bool | None = None

    def __str__(self) -> str:
        return f"tcp:[{self.host}]:{self.port}" if ":" in self.host else f"tcp:{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class FdAddress:
    """A socket that was opened by another and handed down as a descriptor."""

    fd: int

    def __str__(self) -> str:
        return f"fd:{self.fd}"


SocketAddress: TypeAlias = UnixAddress | TcpAddress | FdAddress


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of a connection; None is what cannot be known."""

    uid: int | None = None
    gid: int | None = None
    pid: int | None = None
    host: str | None = None

    def to_log(self) -> dict[str, int | str]:
        """Return what is known, as keys for a log line."""
        known = {"uid": self.uid, "pid": self.pid, "host": self.host}
        return {key: value for key, value in known.items() if value is not None}


def peer_of(connection: socket.socket) -> Peer:
    """Return who is at the other end of a connected socket, as the kernel vouches for it."""
    if connection.family == socket.AF_UNIX:
        option = getattr(socket, "SO_PEERCRED", None)
        if option is None:
            return Peer()
        pid, uid, gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, option, _UCRED.size))
        return Peer(uid=uid, gid=gid, pid=pid)
    try:
        name = connection.getpeername()
    except OSError:
        return Peer()
    return Peer(host=f"{name[0]}:{name[1]}") if isinstance(name, tuple) else Peer()


def listen(address: SocketAddress) -> list[socket.socket]:
    """Open listening sockets; a host's name may stand for several.  They do not block.

    May wait for a name server.

    Raises:
        QMPError: It cannot be done; nothing stays open.
    """
    match address:
        case UnixAddress():
            sockets = [_listen_unix(address)]
        case TcpAddress():
            sockets = _listen_tcp(address)
        case FdAddress():
            sockets = [socket_of(address.fd)]
            if not _is_listening(sockets[0]):
                sockets[0].detach()
                raise QMPError(f"File descriptor '{address.fd}' is not a listening socket")
    for opened in sockets:
        opened.setblocking(False)
    return sockets


def socket_of(fd: int) -> socket.socket:
    """Return the socket that a descriptor is.

    Raises:
        QMPError: It is none.
    """
    try:
        is_socket = stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        is_socket = False
    if not is_socket:
        raise QMPError(f"File descriptor '{fd}' is not a socket")
    os.set_inheritable(fd, False)
    return socket.socket(fileno=fd)


def _is_listening(candidate: socket.socket) -> bool:
    return bool(candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _listen_unix(address: UnixAddress) -> socket.socket:
    target = address.to_kernel()
    check_unix_path(address)
    opened = socket.socket(socket.AF_UNIX)
    try:
        if not address.is_abstract:
            _unlink_stale(address.path)
            # The file gets the mode that the socket has, so that nobody can come in between.
            os.fchmod(opened.fileno(), 0o600)
        opened.bind(target)
        if not address.is_abstract:
            os.chmod(address.path, 0o600)
        opened.listen(socket.SOMAXCONN)
    except OSError as error:
        opened.close()
        raise QMPError(f"Failed to bind socket to {address.path}: {error_text(error)}") from error
    return opened


def check_unix_path(address: UnixAddress) -> None:
    """Refuse a path that the kernel has no room for.

    Raises:
        QMPError: It is too long.
    """
    length = len(os.fsencode(address.path)) + address.is_abstract
    if length >= _MAX_UNIX_PATH + address.is_abstract:
        raise QMPError(f"UNIX socket path '{address.path}' is too long")


def _unlink_stale(path: str) -> None:
    """Remove a socket that is in the way.

    QEMU: it removes whatever is there, a regular file too; that is refused here by what follows.
    """
    try:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
    except FileNotFoundError:
        pass


def _listen_tcp(address: TcpAddress) -> list[socket.socket]:
    resolved = _resolve(address, socket.AI_PASSIVE)
    try:
        first = int(resolved[0][4][1])
        for port in range(first, max(first, address.last_port or 0) + 1):
            sockets = _try_port(resolved, port)
            if sockets:
                return sockets
    except OSError as error:
        raise QMPError(f"Failed to bind socket: {error_text(error)}") from error
    raise QMPError(f"Failed to find an available port: {os.strerror(errno.EADDRINUSE)}")


_Resolved: TypeAlias = tuple[
    int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
]


def _resolve(address: TcpAddress, flags: int = 0) -> list[_Resolved]:
    if address.use_ipv4 is False and address.use_ipv6 is False:
        raise QMPError("Cannot disable IPv4 and IPv6 at same time")
    family = socket.AF_UNSPEC
    if address.use_ipv6 is False or (address.use_ipv4 and not address.use_ipv6):
        family = socket.AF_INET
    elif address.use_ipv4 is False or (address.use_ipv6 and not address.use_ipv4):
        family = socket.AF_INET6
    if address.port.isdigit() and decimal(address.port) > 0xFFFF:
        raise QMPError(f"address resolution failed for {address.host}:{address.port}: no such port")
    try:
        return list(
            socket.getaddrinfo(address.host or None, address.port, family, socket.SOCK_STREAM, 0, flags)
        )
    except socket.gaierror as error:
        raise QMPError(
            f"address resolution failed for {address.host}:{address.port}: {error.strerror}"
        ) from error


def _try_port(resolved: list[_Resolved], port: int) -> list[socket.socket]:
    """Listen on one port of every address, or on none when it is taken anywhere."""
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, name in resolved:
            opened = socket.socket(family, kind, protocol)
            sockets.append(opened)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # Where the kernel chose a port for the first address, the others take the same.
            chosen = sockets[0].getsockname()[1] if port == 0 and len(sockets) > 1 else port
            opened.bind((name[0], chosen, *name[2:]))
            opened.listen(socket.SOMAXCONN)
    except OSError as error:
        for opened in sockets:
            opened.close()
        if error.errno == errno.EADDRINUSE:
            return []
        raise
    return sockets


def candidates(address: TcpAddress | UnixAddress) -> Iterator[tuple[socket.socket, object]]:
    """Go through the sockets to connect with, each not blocking and with the name to connect it to.

    May wait for a name server.  The caller closes each socket that it does not keep.

    Raises:
        QMPError: The address means nothing.
    """
    if isinstance(address, UnixAddress):
        check_unix_path(address)
        opened = socket.socket(socket.AF_UNIX)
        opened.setblocking(False)
        yield opened, address.to_kernel()
        return
    for family, kind, protocol, _, name in _resolve(address):
        opened = socket.socket(family, kind, protocol)
        opened.setblocking(False)
        yield opened, name


async def connect(address: UnixAddress | TcpAddress) -> socket.socket:
    """Return a connected socket.

    Raises:
        QMPError: Nobody listens there, or the address means nothing.
    """
    loop = asyncio.get_running_loop()
    shown = f"'{address.path}'" if isinstance(address, UnixAddress) else f"'{address.host}:{address.port}'"
    last_error = OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
    for candidate, name in candidates(address):
        try:
            await loop.sock_connect(candidate, name)  # type: ignore[arg-type]
        except OSError as error:
            candidate.close()
            last_error = error
        except asyncio.CancelledError:
            candidate.close()
            raise
        else:
            return candidate
    raise QMPError(f"Failed to connect to {shown}: {error_text(last_error)}") from last_error


def activated_fds(environment: MutableMapping[str, str], pid: int) -> list[int]:
    """Return the descriptors that systemd's socket activation passed to this process.

    The variables are removed, so that no child takes them for its own.

    Source: sd_listen_fds(3).
    """
    if environment.get("LISTEN_PID") != str(pid) or not environment.get("LISTEN_FDS", "").isdigit():
        return []
    count = int(environment["LISTEN_FDS"])
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environment.pop(name, None)
    return list(range(_FIRST_PASSED_FD, _FIRST_PASSED_FD + count))
