"""Carry a machine's state through descriptors: sockets, pipes, files, and programs' ends of pipes."""

import asyncio
import contextlib
import errno
import os
import socket
import stat
from asyncio import subprocess
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from qmpserver import threads
from qmpserver.errors import QMPError, error_text
from qmpserver.machine.migration.address import (
    DescriptorAddress,
    ExecAddress,
    FileAddress,
    MigrationAddress,
)
from qmpserver.numerals import decimal
from qmpserver.sockets import TcpAddress, UnixAddress, connect

A = TypeVar("A")
T = TypeVar("T")

_CHUNK = 1 << 20

ClaimFd = Callable[[str], int]
"""Hands over the descriptor that a name, or a number, stands for; raises QMPError if there is none."""


def inherited_fd(number: str) -> int:
    """Return the descriptor that a number stands for.

    Raises:
        QMPError: It is no number, or there is no such descriptor.
    """
    if not (number.isascii() and number.isdigit()):
        raise QMPError(f"Invalid file descriptor number '{number}'")
    fd = decimal(number)
    try:
        os.fstat(fd)
    except (OSError, OverflowError) as error:
        raise QMPError(f"File descriptor '{number}' cannot be used: {os.strerror(errno.EBADF)}") from error
    return fd


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
            QMPError: The program that it went to has failed.
        """

    def cut(self) -> None:
        """Break the connection, if it is one, so that whoever waits for it fails."""

    async def abandon(self) -> None:
        """Let go, whatever became of it; harmless when that was done."""


class DescriptorChannel:
    """A descriptor that is read or written where it stands, and closed afterwards.

    Raises:
        OSError: It is none.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        mode = os.fstat(fd).st_mode
        self._is_disk = stat.S_ISREG(mode) or stat.S_ISBLK(mode)
        if not self._is_disk:
            os.set_blocking(fd, False)

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        rest = memoryview(data)
        while rest:
            part = rest[:_CHUNK]
            if self._is_disk:
                written = await threads.run(os.write, self._fd, part)
            else:
                written = await self._when_ready(os.write, part, for_reading=False)
            rest = rest[written:]

    async def receive(self, length: int) -> bytes:
        """Return so many bytes, or fewer at the end."""
        received = bytearray()
        while len(received) < length:
            wanted = min(_CHUNK, length - len(received))
            if self._is_disk:
                part = await threads.run(os.read, self._fd, wanted)
            else:
                part = await self._when_ready(os.read, wanted, for_reading=True)
            if not part:
                break
            received += part
        return bytes(received)

    async def _when_ready(self, call: Callable[[int, A], T], argument: A, *, for_reading: bool) -> T:
        while True:
            try:
                return call(self._fd, argument)
            except BlockingIOError:
                await _wait(self._fd, for_reading=for_reading)

    async def close(self) -> None:
        """Close the descriptor; what went into a file is durable."""
        if self._fd >= 0 and self._is_disk:
            await threads.run(os.fsync, self._fd)
        await self.abandon()

    def cut(self) -> None:
        """Break the connection, if it is one."""
        if self._fd >= 0 and stat.S_ISSOCK(os.fstat(self._fd).st_mode):
            with socket.socket(fileno=os.dup(self._fd)) as connection, contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    async def abandon(self) -> None:
        """Close the descriptor."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class ProgramChannel:
    """The pipe from or to a program.

    Args:
        pipe: Our end of it.
        process: The program.
    """

    def __init__(self, pipe: Channel, process: subprocess.Process) -> None:
        self._pipe = pipe
        self._process = process

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        await self._pipe.send(data)

    async def receive(self, length: int) -> bytes:
        """Return so many bytes, or fewer at the end."""
        return await self._pipe.receive(length)

    async def close(self) -> None:
        """Wait for the program's end."""
        await self._pipe.close()
        status = await self._process.wait()
        if status:
            raise QMPError(f"The program ended with status {status}")

    def cut(self) -> None:
        """Do nothing: there is no connection."""

    async def abandon(self) -> None:
        """Have the program end."""
        await self._pipe.abandon()
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


async def run_program(words: Sequence[str], *, writes_to_it: bool) -> Channel:
    """Start a program at the other end of a pipe; what else it would read or write is nothing.

    Raises:
        OSError: It cannot be started.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    ours, theirs = (writing, reading) if writes_to_it else (reading, writing)
    null = subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdin=theirs if writes_to_it else null, stdout=null if writes_to_it else theirs
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    return ProgramChannel(DescriptorChannel(ours), process)


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
            return claimed_channel(name, claim_fd)
        case FileAddress():
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (0 if address.offset else os.O_TRUNC)
            return await threads.run(open_file, address, flags, "create")
        case ExecAddress(words):
            return await run_program(words, writes_to_it=True)


def open_file(address: FileAddress, flags: int, verb: str) -> Channel:
    """Open a file where the state begins in it.

    Raises:
        QMPError: It cannot be; `verb` says what was tried.
    """
    try:
        fd = os.open(address.filename, flags, 0o660)
    except OSError as error:
        raise QMPError(f"Could not {verb} '{address.filename}': {error_text(error)}") from error
    try:
        os.lseek(fd, address.offset, os.SEEK_SET)
        return DescriptorChannel(fd)
    except (OSError, OverflowError) as error:
        os.close(fd)
        raise QMPError(f"Failed to seek to offset {address.offset} in '{address.filename}'") from error


def claimed_channel(name: str, claim_fd: ClaimFd) -> Channel:
    """Take a descriptor over.

    Raises:
        QMPError: There is none of that name, or it is of no use.
    """
    try:
        return DescriptorChannel(claim_fd(name))
    except OSError as error:
        raise QMPError(f"File descriptor '{name}' cannot be used: {error_text(error)}") from error
