"""Come to terms with an NBD server, encrypted if wanted."""

import asyncio
import errno
import socket
import ssl
from dataclasses import dataclass
from typing import Final

from qmpserver.drivers.nbd.connection import NbdConnection
from qmpserver.nbd.client_handshake import Conversation, Listed, T, choose_export, list_exports
from qmpserver.nbd.server_handshake import Turn
from qmpserver.socket_writer import BLOCKED

PIECE: Final = 64 << 10
"""Bytes taken from the socket at once; what comes after the handshake has room for them."""


@dataclass(frozen=True, slots=True)
class Encryption:
    """How to encrypt.

    Attributes:
        context: Made of the credentials.
        hostname: Whose certificate the server must have, or None for anybody's whom the authority knows.
    """

    context: ssl.SSLContext
    hostname: str | None


async def shake_hands(
    connection: socket.socket, export: str, contexts: tuple[str, ...], encryption: Encryption | None
) -> NbdConnection:
    """Come to terms with a server over a connected socket, which is ours from now on.

    Raises:
        OSError: The connection was lost, or the server cannot be believed.
        HandshakeRefused: The server does not give what was asked.
        ProtocolError: The server does not keep to the protocol.
    """
    connection.setblocking(False)
    wants_tls = encryption is not None
    talk = Conversation(choose_export(export, wants_tls=wants_tls, wanted_contexts=contexts))
    try:
        connection = await _converse(connection, talk, encryption)
    except BaseException:
        connection.close()
        raise
    return NbdConnection(connection, talk.result, talk.leftover())


async def ask_for_exports(connection: socket.socket, encryption: Encryption | None) -> list[Listed]:
    """Ask a server over a connected socket, which is closed afterwards, for all its exports.

    Raises:
        OSError: The connection was lost, or the server cannot be believed.
        HandshakeRefused: The server does not tell.
        ProtocolError: The server does not keep to the protocol.
    """
    connection.setblocking(False)
    talk = Conversation(list_exports(wants_tls=encryption is not None))
    try:
        connection = await _converse(connection, talk, encryption)
        return talk.result
    finally:
        connection.close()


async def _converse(
    connection: socket.socket, talk: Conversation[T], encryption: Encryption | None
) -> socket.socket:
    """Drive a handshake to its end; return the socket to go on with, which may be an encrypted one."""
    stream = _Stream(connection)
    while True:
        item = talk.next()
        if isinstance(item, bytes):
            await stream.send(item)
        elif item is Turn.START_TLS:
            assert encryption is not None
            await stream.encrypt(encryption)
        elif talk.is_over:
            return stream.socket
        else:
            talk.feed(await stream.receive())


class _Stream:
    """A socket that does not block, for a conversation in turns.

    Attributes:
        socket: The socket; another one once it is encrypted.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        """Send all of `data`."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self.socket.send(rest) :]
            except BLOCKED as blocked:
                await self._until_ready(blocked, writing=True)

    async def receive(self) -> bytes:
        """Return some bytes.

        Raises:
            OSError: The server has closed the connection.
        """
        while True:
            try:
                data = self.socket.recv(PIECE)
            except BLOCKED as blocked:
                await self._until_ready(blocked, writing=False)
                continue
            if not data:
                raise OSError(errno.EINVAL, "Failed to read data")
            return data

    async def encrypt(self, encryption: Encryption) -> None:
        """Encrypt from here.

        Raises:
            OSError: The server cannot be believed.
        """
        context = encryption.context
        context.check_hostname = encryption.hostname is not None and context.verify_mode is not ssl.CERT_NONE
        self.socket = encrypted = context.wrap_socket(
            self.socket, server_hostname=encryption.hostname, do_handshake_on_connect=False
        )
        while True:
            try:
                encrypted.do_handshake()
            except BLOCKED as blocked:
                await self._until_ready(blocked, writing=False)
            else:
                return

    async def _until_ready(self, blocked: OSError, *, writing: bool) -> None:
        if isinstance(blocked, ssl.SSLWantReadError):
            writing = False
        elif isinstance(blocked, ssl.SSLWantWriteError):
            writing = True
        ready = asyncio.Event()
        fd = self.socket.fileno()
        add, remove = (
            (self._loop.add_writer, self._loop.remove_writer)
            if writing
            else (self._loop.add_reader, self._loop.remove_reader)
        )
        add(fd, ready.set)
        try:
            await ready.wait()
        finally:
            remove(fd)
