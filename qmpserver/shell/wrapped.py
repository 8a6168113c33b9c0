"""Start a server for the shell, joined to it by a pair of sockets, and end it with the shell."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Sequence

from qmpserver.shell.addresses import Inherited
from qmpserver.shell.client import CommandFailed, NotConnected
from qmpserver.shell.link import Link

_LABEL = "qmpserver-shell"
_DAEMONS = ("storage-daemon", "qmpserver")
PATIENCE_S = 5.0
"""How long the server has to end after it was asked to, and again after it was told to."""


class WrappedServer:
    """A program that serves this shell only.

    Args:
        process: The program.
        address: The shell's end.
    """

    def __init__(self, process: asyncio.subprocess.Process, address: Inherited) -> None:
        self._process = process
        self.address = address

    @classmethod
    async def start(cls, command: Sequence[str], *, output: int | None = None) -> "WrappedServer":
        """Start a program, with the options added that make it a server on a socket it inherits.

        Args:
            command: The program and its own options.
            output: Where its standard output and error go, if not where the shell's error goes.

        Raises:
            OSError: It does not start.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    *options(command, theirs.fileno()),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=2 if output is None else output,
                    stderr=output,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # Ctrl-C is for the shell
                )
            except OSError:
                ours.close()
                raise
        return cls(process, Inherited(ours.detach()))

    async def finish(self, link: Link) -> int:
        """End the server, politely at first, and return its exit status."""
        with contextlib.suppress(CommandFailed, NotConnected, TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await link.execute("quit")
        await link.close()
        for end in (self._process.terminate, self._process.kill):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    return await self._process.wait()
            with contextlib.suppress(ProcessLookupError):
                end()
        return await self._process.wait()


def options(command: Sequence[str], fd: int) -> list[str]:
    """Return what makes a program serve QMP on a connected socket: an emulator, or a storage daemon."""
    name = os.path.basename(command[0])
    is_daemon = any(part in name for part in _DAEMONS)
    chardev = ["--chardev" if is_daemon else "-chardev", f"socket,id={_LABEL},fd={fd}"]
    if is_daemon:
        return [*chardev, "--monitor", f"chardev={_LABEL}"]
    return [*chardev, "-mon", f"chardev={_LABEL},mode=control"]
