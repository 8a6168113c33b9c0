"""Hold all chardevs by label, and make them of what QMP says."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from qmpserver.chardevs.chardev import Chardev, NullChardev
from qmpserver.chardevs.ringbuf import DEFAULT_SIZE, RingbufChardev
from qmpserver.chardevs.socket_chardev import SocketSpec, make_socket
from qmpserver.chardevs.streams import (
    DescriptorChardev,
    DuplicateFd,
    FileChardev,
    PipeChardev,
    PtyChardev,
    StdioChardev,
)
from qmpserver.errors import QMPError
from qmpserver.sockets import FdAddress, SocketAddress, TcpAddress, UnixAddress

ClaimFd = Callable[[str], int]
"""Takes a descriptor that a client gave a name, by that name; raises QMPError."""

SERVED = ("file", "memory", "null", "pipe", "pty", "ringbuf", "socket", "stdio")
"""The kinds that can be had."""

NOT_SERVED = ("hub", "mux", "parallel", "serial", "udp")
"""Kinds that QEMU's storage daemon has and that are of no use here."""

_NOT_A_PLAIN_STREAM = ("tls-creds", "tls-authz", "telnet", "tn3270", "websocket")
_LOG = ("logfile", "logappend", "logtimestamp")


class ChardevStore:
    """All chardevs, by label.

    Args:
        duplicate_fd: Supplies what ``/dev/fdset/N`` stands for; without it, that is a file's name like others.
    """

    def __init__(self, duplicate_fd: DuplicateFd | None = None) -> None:
        self._chardevs: dict[str, Chardev] = {}
        self._duplicate_fd = duplicate_fd

    def __iter__(self) -> Iterator[Chardev]:
        """Go through the chardevs, the oldest first."""
        return iter(tuple(self._chardevs.values()))

    def get(self, label: str) -> Chardev | None:
        """Return the chardev of that label, or None."""
        return self._chardevs.get(label)

    async def add(self, chardev: Chardev) -> None:
        """Open a chardev and take it in.

        Raises:
            QMPError: It cannot be opened.
        """
        self._check_stdio(chardev, None)
        await self._open(chardev)
        self._chardevs[chardev.label] = chardev

    def check_free(self, chardev: Chardev) -> None:
        """Refuse to put another in the place of a chardev that has a user.

        Raises:
            QMPError: It has one.
        """
        if chardev.is_taken:
            raise QMPError("Chardev user does not support chardev hotswap")

    async def replace(self, old: Chardev, new: Chardev) -> None:
        """Open a chardev and put it in the place of one that nobody uses.

        Raises:
            QMPError: It cannot be opened; the old one stays.
        """
        self._check_stdio(new, old)
        await self._open(new)
        self._chardevs[old.label] = new
        old.close()

    async def _open(self, chardev: Chardev) -> None:
        if isinstance(chardev, DescriptorChardev):
            chardev.duplicate_fd = self._duplicate_fd
        await chardev.open()

    def _check_stdio(self, chardev: Chardev, but: Chardev | None) -> None:
        if isinstance(chardev, StdioChardev):
            others = (other for other in self if other is not but)
            if any(isinstance(other, StdioChardev) for other in others):
                raise QMPError("cannot use stdio by multiple character devices")

    def take(self, label: str) -> Chardev:
        """Return the chardev of that label for its only user.

        Raises:
            QMPError: There is none, or it has a user.
        """
        chardev = self._chardevs.get(label)
        if chardev is None:
            raise QMPError(f'chardev "{label}" not found')
        if chardev.is_taken:
            raise QMPError(f"chardev '{label}' is already in use")
        chardev.is_taken = True
        return chardev

    def remove(self, label: str) -> None:
        """Close a chardev that nobody uses.

        Raises:
            QMPError: There is none, or it is in use.
        """
        chardev = self._chardevs.get(label)
        if chardev is None:
            raise QMPError(f"Chardev '{label}' not found")
        if chardev.is_taken:
            raise QMPError(f"Chardev '{label}' is busy")
        del self._chardevs[label]
        chardev.close()

    def ringbuf(self, label: str) -> RingbufChardev:
        """Return a chardev that is a buffer.

        Raises:
            QMPError: There is none of that label, or it is of another kind.
        """
        chardev = self._chardevs.get(label)
        if chardev is None:
            raise QMPError(f"Device '{label}' not found", code="not-found")
        if not isinstance(chardev, RingbufChardev):
            raise QMPError(f"{label} is not a ringbuf device")
        return chardev

    def close(self) -> None:
        """Close all chardevs."""
        for chardev in self:
            chardev.close()
        self._chardevs.clear()


def _no_descriptors(name: str) -> int:
    raise QMPError(f"File descriptor named '{name}' not found")


def make_chardev(label: str, backend: Mapping[str, Any], claim_fd: ClaimFd = _no_descriptors) -> Chardev:
    """Make the chardev that a ``ChardevBackend`` describes; it is not open yet.

    Raises:
        QMPError: It is of a kind that there is not, or contradicts itself.
    """
    kind, data = backend["type"], backend["data"]
    for key in _LOG:
        if data.get(key):
            raise QMPError(f"chardev option '{key}' is not supported")
    if kind == "socket":
        return make_socket(label, _socket_spec(data, claim_fd))
    if kind in NOT_SERVED:
        raise QMPError(f"chardev backend '{kind}' is not supported")
    maker = _MAKERS.get(kind)
    if maker is None:
        raise QMPError(f"'{kind}' is not a valid char driver name")
    return maker(label, data)


_MAKERS: Mapping[str, Callable[[str, Mapping[str, Any]], Chardev]] = {
    "file": lambda label, data: FileChardev(
        label, data["out"], data.get("in"), append=data.get("append", False)
    ),
    "memory": lambda label, data: RingbufChardev(label, data.get("size", DEFAULT_SIZE), "memory"),
    "null": lambda label, _data: NullChardev(label),
    "pipe": lambda label, data: PipeChardev(label, data["device"]),
    "pty": lambda label, data: PtyChardev(label, data.get("path")),
    "ringbuf": lambda label, data: RingbufChardev(label, data.get("size", DEFAULT_SIZE)),
    "stdio": lambda label, _data: StdioChardev(label),
}


def _socket_spec(data: Mapping[str, Any], claim_fd: ClaimFd) -> SocketSpec:
    is_server = data.get("server", True)
    reconnect_ms = data.get("reconnect-ms", 0)
    if is_server and reconnect_ms:
        raise QMPError("'reconnect-ms' option is incompatible with socket in server listen mode")
    if not is_server and "wait" in data:
        raise QMPError("'wait' option is incompatible with socket in client connect mode")
    for key in _NOT_A_PLAIN_STREAM:
        if data.get(key):
            raise QMPError(f"chardev option '{key}' is not supported")
    return SocketSpec(
        socket_address(data["addr"], claim_fd),
        is_server=is_server,
        wait=data.get("wait", False),
        nodelay=data.get("nodelay", False),
        reconnect_ms=reconnect_ms,
    )


def socket_address(address: Mapping[str, Any], claim_fd: ClaimFd) -> SocketAddress:
    """Return the address that a ``SocketAddressLegacy`` describes.

    Raises:
        QMPError: It is of a family that is not served, or names a descriptor that there is not.
    """
    data = address["data"]
    match address["type"]:
        case "unix":
            return UnixAddress(data["path"], data.get("abstract", False), data.get("tight", True))
        case "inet":
            return TcpAddress(data["host"], data["port"], data.get("to"), data.get("ipv4"), data.get("ipv6"))
        case "fd":
            name = data["str"]
            return FdAddress(int(name) if name.isdecimal() else claim_fd(name))
        case kind:
            raise QMPError(f"socket address family '{kind}' is not supported")
