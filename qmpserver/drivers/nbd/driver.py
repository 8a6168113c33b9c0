"""The `nbd` protocol driver.

Options: `server`, `export`, `tls-creds`, `tls-hostname`, `x-dirty-bitmap`, `reconnect-delay`, `open-timeout`.

A request whose connection is lost before its reply has come is made again on the next one, for as long as
`reconnect-delay` allows.
"""

import errno
import os
import socket
from typing import Any, ClassVar, Self

from qmpserver import sockets
from qmpserver.driver_api import flags as request_flags
from qmpserver.driver_api.driver import BlockDriver, not_supported
from qmpserver.driver_api.limits import Limits
from qmpserver.driver_api.opening import OpenContext
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.driver_api.status import BlockStatus
from qmpserver.driver_api.surroundings import no_such_fd
from qmpserver.drivers.nbd.connection import ConnectionLost, NbdConnection
from qmpserver.drivers.nbd.handshake import Encryption, shake_hands
from qmpserver.drivers.nbd.lifeline import Lifeline
from qmpserver.errors import QMPError, error_text
from qmpserver.nbd.client_handshake import HandshakeRefused
from qmpserver.nbd.constants import MAX_PAYLOAD, Command, CommandFlag, StateFlag, TransmissionFlag
from qmpserver.nbd.contexts import BASE_ALLOCATION
from qmpserver.nbd.export_info import ExportInfo
from qmpserver.nbd.names import make_filename
from qmpserver.nbd.wire import ProtocolError
from qmpserver.sockets import FdAddress, TcpAddress, UnixAddress
from qmpserver.units import NS_PER_SECOND, SECTOR_SIZE

MAX_STATUS = 1 << 31
"""Bytes whose block status is asked for at once: a 32-bit length must hold it."""


class NbdDriver(BlockDriver):
    """An export of another server.

    Args:
        lifeline: The way to the server.
        connection: The first connection, which says what the export is.
        options: As the node was opened with.
    """

    format_name: ClassVar[str] = "nbd"
    is_protocol: ClassVar[bool] = True
    strong_options: ClassVar[tuple[str, ...]] = ("server", "export", "tls-creds", "tls-hostname")

    def __init__(self, lifeline: Lifeline, connection: NbdConnection, options: dict[str, Any]) -> None:
        self._lifeline = lifeline
        self._info: ExportInfo = connection.agreed.export
        self._options = options
        self._max_transfer = min(self._info.maximum_block, MAX_PAYLOAD)

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        """Connect to the server.

        Raises:
            QMPError: It cannot be reached, or does not give what is asked.
        """
        options = dict(context.options)
        # A descriptor that a client gave a name is handed over once: it does for one connection.
        named = _claim_named(context, options["server"])
        lifeline = Lifeline(
            lambda: _connect(context, options, named),
            context.surroundings.clock,
            options.get("reconnect-delay", 0) * NS_PER_SECOND,
        )
        try:
            connection = await lifeline.open(options.get("open-timeout", 0) * NS_PER_SECOND)
        finally:
            for unused in named:
                unused.close()
        if "x-dirty-bitmap" in options and not connection.agreed.contexts:
            await lifeline.close()
            raise QMPError(f"Could not open image: {os.strerror(errno.EINVAL)}")
        if not context.read_only and connection.agreed.export.flags & TransmissionFlag.READ_ONLY:
            if not context.auto_read_only:
                await lifeline.close()
                raise QMPError(f"Could not open image: {os.strerror(errno.EACCES)}")
            context.fall_back_to_read_only()
        return cls(lifeline, connection, options)

    async def close(self) -> None:
        """Take leave of the server."""
        await self._lifeline.close()

    def yank(self) -> None:
        """Cut the connection for good."""
        self._lifeline.yank()

    def hurry_begin(self) -> None:
        """Take a server that says nothing for lost."""
        self._lifeline.hurry_begin()

    def hurry_end(self) -> None:
        """Wait for it as long as it takes."""
        self._lifeline.hurry_end()

    def cancel_held(self) -> None:
        """Fail requests that wait for another connection."""
        self._lifeline.cancel_held()

    @property
    def size(self) -> int:
        """The export's size."""
        return self._info.size

    @property
    def limits(self) -> Limits:
        """What the server said of the requests it takes."""
        return Limits(
            request_alignment=self._info.minimum_block,
            max_transfer=self._max_transfer,
            min_mem_alignment=SECTOR_SIZE,
            opt_transfer=self._info.preferred_block,
        )

    @property
    def exact_filename(self) -> str | None:
        """The export's name in one word, where that says all."""
        if "tls-creds" in self._options:
            return None
        return make_filename(self._options["server"], self._options.get("export"))

    def image_info(self) -> dict[str, Any]:
        """Return nothing: nothing is known beyond the export's size."""
        return {}

    def _has(self, flag: TransmissionFlag) -> bool:
        return bool(self._info.flags & flag)

    async def _request(self, command: Command, offset: int, length: int, **details: Any) -> Any:
        """Make a request, and again on another connection when the first was lost."""
        while True:
            connection = await self._lifeline.current()
            try:
                return await connection.request(command, offset, length, **details)
            except ConnectionLost:
                # Nobody knows whether it was carried out; doing it again does no harm.
                continue

    async def pread(self, offset: int, into: memoryview, flags: int) -> None:
        """Read from the export."""
        del flags
        for start in range(0, len(into), self._max_transfer):
            part = into[start : start + self._max_transfer]
            await self._request(Command.READ, offset + start, len(part), into=part)

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        """Write to the export."""
        wants_fua = flags & request_flags.FUA and self._has(TransmissionFlag.SEND_FUA)
        wire_flags = CommandFlag.FUA if wants_fua else CommandFlag.NONE
        for start in range(0, len(data), self._max_transfer):
            part = data[start : start + self._max_transfer]
            await self._request(Command.WRITE, offset + start, len(part), flags=wire_flags, data=part)

    async def pwrite_zeroes(self, offset: int, length: int, flags: int) -> None:
        """Have the server write zeroes."""
        if not self._has(TransmissionFlag.SEND_WRITE_ZEROES):
            raise not_supported()
        wire_flags = CommandFlag.NONE
        if not flags & request_flags.MAY_UNMAP:
            wire_flags |= CommandFlag.NO_HOLE
        if flags & request_flags.NO_FALLBACK:
            if not self._has(TransmissionFlag.SEND_FAST_ZERO):
                raise not_supported()
            wire_flags |= CommandFlag.FAST_ZERO
        await self._in_pieces(Command.WRITE_ZEROES, offset, length, wire_flags)

    async def pdiscard(self, offset: int, length: int) -> None:
        """Have the server give the range's space back."""
        if not self._has(TransmissionFlag.SEND_TRIM):
            raise not_supported()
        await self._in_pieces(Command.TRIM, offset, length, CommandFlag.NONE)

    async def _in_pieces(self, command: Command, offset: int, length: int, flags: CommandFlag) -> None:
        end = offset + length
        while offset < end:
            piece = min(end - offset, MAX_STATUS)
            await self._request(command, offset, piece, flags=flags)
            offset += piece

    async def flush(self) -> None:
        """Have the server bring everything to stable storage."""
        if self._has(TransmissionFlag.SEND_FLUSH):
            await self._request(Command.FLUSH, 0, 0)

    async def block_status(self, offset: int, length: int) -> BlockStatus:
        """Ask the server, if it tells."""
        connection = await self._lifeline.current()
        if not connection.agreed.contexts:
            return BlockStatus(length, is_data=True, is_zero=False, is_allocated=True, host_offset=offset)
        number = next(iter(connection.agreed.contexts))
        wanted = min(length, MAX_STATUS)
        try:
            extents = await self._request(Command.BLOCK_STATUS, offset, wanted, flags=CommandFlag.REQ_ONE)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
            extents = {}
        told = extents.get(number)
        if not told:
            return BlockStatus(length, is_data=True, is_zero=False, is_allocated=True, host_offset=offset)
        run, flags = told[0]
        return BlockStatus(
            min(run, length),
            is_data=not flags & StateFlag.HOLE,
            is_zero=bool(flags & StateFlag.ZERO),
            is_allocated=True,
            host_offset=offset,
        )

    # Reopening: the connection stays, and whether writes are let through is the engine's business.

    async def prepare_reopen(self, *, read_only: bool, options: dict[str, Any]) -> None:
        """Make sure that the export can be written, if it is to be.

        Raises:
            QMPError: It cannot.
        """
        del options
        if not read_only and self._has(TransmissionFlag.READ_ONLY):
            raise QMPError("Can't reopen read-only NBD mount as read/write")

    async def commit_reopen(self) -> None:
        """Do nothing more."""

    async def abort_reopen(self) -> None:
        """Do nothing."""

    async def truncate(self, size: int, preallocation: Preallocation = Preallocation.OFF) -> None:
        """Refuse another size: the protocol has no way to ask for it.

        Raises:
            QMPError: The export would have to grow.
            OSError: ENOTSUP for any other change.
        """
        if size > self._info.size:
            raise QMPError("Cannot grow NBD nodes")
        if size < self._info.size or preallocation is not Preallocation.OFF:
            raise not_supported()


def _claim_named(context: OpenContext, server: dict[str, Any]) -> list[socket.socket]:
    """Return the socket that a client gave a name, if the server is said to be there; else nothing.

    Raises:
        QMPError: There is none of that name, or it is none.
    """
    name = server.get("str", "")
    if server["type"] != "fd" or name.isdecimal():
        return []
    try:
        fd = context.surroundings.claim_fd(name)
    except QMPError as error:
        raise no_such_fd(name) from error
    return [_socket_of(fd, name)]


def _socket_of(fd: int, called: str) -> socket.socket:
    """Return the socket that a descriptor of our own is; it is closed if it is none.

    Raises:
        QMPError: It is none.
    """
    try:
        return sockets.socket_of(fd)
    except QMPError as error:
        os.close(fd)
        raise QMPError(f"File descriptor '{called}' is not a socket") from error


async def _connect(
    context: OpenContext, options: dict[str, Any], named: list[socket.socket]
) -> NbdConnection:
    """Make a connection, and say in QEMU's words why it cannot be made.

    Args:
        context: What the node is opened with.
        options: The node's.
        named: The socket to take first, if any.

    Raises:
        QMPError: It cannot.
    """
    encryption = _encryption(context, options)
    contexts = (options.get("x-dirty-bitmap", BASE_ALLOCATION),)
    connection = named.pop() if named else await _open_socket(options["server"])
    try:
        return await shake_hands(connection, options.get("export", ""), contexts, encryption)
    except HandshakeRefused as refused:
        raise QMPError(refused.text) from refused
    except ProtocolError as error:
        raise QMPError(str(error)) from error
    except OSError as error:
        raise QMPError(f"Failed to negotiate with the NBD server: {error_text(error)}") from error


def _encryption(context: OpenContext, options: dict[str, Any]) -> Encryption | None:
    credentials = options.get("tls-creds")
    if credentials is None:
        return None
    hostname = options.get("tls-hostname")
    if hostname is None and options["server"]["type"] == "inet":
        hostname = options["server"]["host"]
    return Encryption(context.surroundings.tls_client(credentials), hostname)


async def _open_socket(server: dict[str, Any]) -> socket.socket:
    address = _address(server)
    if isinstance(address, FdAddress):
        try:
            fd = os.dup(address.fd)
        except OSError as error:
            raise QMPError(f"File descriptor '{address.fd}' is not a socket") from error
        return _socket_of(fd, str(address.fd))
    return await sockets.connect(address)


def _address(server: dict[str, Any]) -> UnixAddress | TcpAddress | FdAddress:
    match server["type"]:
        case "unix":
            return UnixAddress(server["path"], server.get("abstract", False), server.get("tight", True))
        case "inet":
            return TcpAddress(
                server["host"], server["port"], server.get("to"), server.get("ipv4"), server.get("ipv6")
            )
        case "fd" if server["str"].isdecimal():
            return FdAddress(int(server["str"]))
        case "fd":
            raise no_such_fd(server["str"])
        case kind:
            raise QMPError(f"socket address family '{kind}' is not supported")
