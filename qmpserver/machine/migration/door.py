"""Wait for a machine: where it comes in, and the way to whoever brings it."""

import asyncio
import contextlib
import os
import socket

from qmpserver.listening import ListeningSockets
from qmpserver.machine.migration.address import (
    DescriptorAddress,
    ExecAddress,
    FileAddress,
    MigrationAddress,
)
from qmpserver.machine.migration.channel import (
    Channel,
    ClaimFd,
    DescriptorChannel,
    claimed_channel,
    open_file,
    run_program,
)
from qmpserver.sockets import TcpAddress, UnixAddress


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
                self._channel = open_file(address, os.O_RDONLY | os.O_CLOEXEC, "open")
            case DescriptorAddress(name):
                self._channel = claimed_channel(name, claim_fd)

    @property
    def names(self) -> list[object]:
        """Where it listens, as the kernel says it."""
        return [] if self._listening is None else self._listening.names

    async def channel(self) -> Channel:
        """Wait for somebody to come, and return the way to them; nobody else is let in."""
        if isinstance(self._address, ExecAddress):
            return await run_program(self._address.words, writes_to_it=False)
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
        except asyncio.CancelledError:
            if came.done() and not came.cancelled():
                came.result().close()
            raise
        finally:
            self._listening.unwatch()
            self.close()

    def close(self) -> None:
        """Stop listening."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
