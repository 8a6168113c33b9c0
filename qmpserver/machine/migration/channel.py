"""Carry a machine's state through descriptors: sockets, pipes, files, and programs' ends of pipes."""

import asyncio
import contextlib
import os
import socket
import stat
from asyncio import subprocess
from collections.abc import Callable
from typing import Protocol

from qmpserver import threads
from qmpserver.errors import QMPError, error_text
from qmpserver.listening import ListeningSockets
from qmpserver.machine.migration.address import (
    DescriptorAddress,
    ExecAddress,
    FileAddress,
    MigrationAddress,
)
from qmpserver.sockets import TcpAddress, UnixAddress, connect

_CHUNK = 1 << 20

ClaimFd = Callable[[str], int]
"""Hands over the descriptor that a name, or a number, stands for; raises QMPError if there is none."""


class Channel(Protocol):
    """One way for a state to go; use it once."""

    async def send(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            OSError: The other side does not take it.
        """

    async def receive(self, length: int) -> bytes:
        """Return so many bytes, or fewer at the end.

        Raises:
            OSError: They cannot be had.
        """

    async def close(self) -> None:
        """Let the other side know that this was all, and let go.

        Raises:
            OSError: It did not all arrive.
        """


class DescriptorChannel:
    """A descriptor that is read or written where it stands, and closed afterwards."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._is_file = stat.S_ISREG(os.fstat(fd).st_mode)
        if not self._is_file:
            os.set_blocking(fd, False)

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        rest = memoryview(data)
        while rest:
            written = await self._write(rest[:_CHUNK])
            rest = rest[written:]

    async def _write(self, data: memoryview) -> int:
        while True:
            try:
                return (
                    await threads.run(os.write, self._fd, data) if self._is_file else os.write(self._fd, data)
                )
            except BlockingIOError:
                await _wait(self._fd, for_reading=False)

    async def receive(self, length: int) -> bytes:
        """Return so many bytes, or fewer at the end."""
        received = bytearray()
        while len(received) < length:
            part = await self._read(min(_CHUNK, length - len(received)))
            if not part:
                break
            received += part
        return bytes(received)

    async def _read(self, length: int) -> bytes:
        while True:
            try:
                return (
                    await threads.run(os.read, self._fd, length)
                    if self._is_file
                    else os.read(self._fd, length)
                )
            except BlockingIOError:
                await _wait(self._fd, for_reading=True)

    async def close(self) -> None:
        """Close the descriptor; what went into a file is durable."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        try:
            if self._is_file:
                await threads.run(os.fsync, fd)
        finally:
            os.close(fd)


class ProgramChannel:
    """A program's standard input or output."""

    def __init__(self, process: subprocess.Process) -> None:
        self._process = process

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        await self._process.stdin.drain()

    async def receive(self, length: int) -> bytes:
        """Return so many bytes, or fewer at the end."""
        assert self._process.stdout is not None
        try:
            return await self._process.stdout.readexactly(length)
        except asyncio.IncompleteReadError as short:
            return short.partial

    async def close(self) -> None:
        """Wait for the program's end."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        status = await self._process.wait()
        if status:
            raise OSError(0, f"the program ended with status {status}")


async def _wait(fd: int, *, for_reading: bool) -> None:
    """Wait until a descriptor is ready."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    add, remove = (
        (loop.add_reader, loop.remove_reader) if for_reading else (loop.add_writer, loop.remove_writer)
    )
    add(fd, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        remove(fd)


def waits_for_nobody(address: MigrationAddress) -> bool:
    """Say whether it is known at once if a state can be sent there."""
    return not isinstance(address, UnixAddress | TcpAddress)


async def open_outgoing(address: MigrationAddress, claim_fd: ClaimFd) -> Channel:
    """Open the way to where a state is to go.

    Raises:
        QMPError: It cannot be had.
    """
    match address:
        case UnixAddress() | TcpAddress():
            return DescriptorChannel((await connect(address)).detach())
        case DescriptorAddress(name):
            return DescriptorChannel(claim_fd(name))
        case FileAddress():
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (0 if address.offset else os.O_TRUNC)
            return await threads.run(_open_file, address, flags, "create")
        case ExecAddress(words):
            return ProgramChannel(await subprocess.create_subprocess_exec(*words, stdin=subprocess.PIPE))


def _open_file(address: FileAddress, flags: int, verb: str) -> Channel:
    try:
        fd = os.open(address.filename, flags, 0o660)
    except OSError as error:
        raise QMPError(f"Could not {verb} '{address.filename}': {error_text(error)}") from error
    os.lseek(fd, address.offset, os.SEEK_SET)
    return DescriptorChannel(fd)


class Door:
    """Where a state is waited for.

    Args:
        address: Where that is.
        claim_fd: Hands over descriptors.

    Raises:
        QMPError: It cannot be had.
    """

    def __init__(self, address: MigrationAddress, claim_fd: ClaimFd) -> None:
        self._address = address
        self._listening: ListeningSockets | None = None
        self._channel: Channel | None = None
        match address:
            case UnixAddress() | TcpAddress():
                self._listening = ListeningSockets(address)
            case FileAddress():
                self._channel = _open_file(address, os.O_RDONLY | os.O_CLOEXEC, "open")
            case DescriptorAddress(name):
                self._channel = DescriptorChannel(claim_fd(name))

    @property
    def names(self) -> list[object]:
        """Where it listens, as the kernel says it."""
        return [] if self._listening is None else self._listening.names

    async def channel(self) -> Channel:
        """Wait for somebody to come, and return the way to them; nobody else is let in."""
        if isinstance(self._address, ExecAddress):
            words = self._address.words
            return ProgramChannel(await subprocess.create_subprocess_exec(*words, stdout=subprocess.PIPE))
        if self._channel is not None:
            return self._channel
        assert self._listening is not None
        came: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()

        def accept(listening: socket.socket) -> None:
            with contextlib.suppress(BlockingIOError):
                connection, _ = listening.accept()
                if came.done():
                    connection.close()
                else:
                    came.set_result(connection)

        self._listening.watch(accept)
        try:
            return DescriptorChannel((await came).detach())
        finally:
            self._listening.unwatch()
            self.close()

    def close(self) -> None:
        """Stop listening."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
