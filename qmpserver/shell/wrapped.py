"""Start a server for the shell, joined to it by a pair of sockets, and end it with the shell."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Sequence

from qmpserver.shell.addresses import Inherited
from qmpserver.shell.client import CommandFailed, NotConnected
from qmpserver.shell.link import Link

_LABEL = "qmpserver-shell"
_DAEMONS = ("qemu-storage-daemon", "qmpserver")
_EMULATORS = ("qemu-system", "qemu-kvm")
_STDERR = 2
_CHUNK = 1 << 16

PATIENCE_S = 5.0
"""How long the server has to end after it was asked to, and again after it was told to."""


class WrappedServer:
    """A program that serves this shell only.

    Args:
        process: The program.
        address: The shell's end.
        showing: What shows the program's output, if that is not where it goes by itself.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, address: Inherited, showing: asyncio.Task[None] | None
    ) -> None:
        self.address = address
        self._process = process
        self._showing = showing

    @classmethod
    async def start(
        cls, command: Sequence[str], show: Callable[[str], None] | None = None
    ) -> "WrappedServer":
        """Start a program, with the options added that make it a server on a socket it inherits.

        Args:
            command: The program and its own options.
            show: Is given what it writes; without it that goes to the shell's standard error.

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
                    stdout=_STDERR if show is None else asyncio.subprocess.PIPE,
                    stderr=_STDERR if show is None else asyncio.subprocess.STDOUT,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # Ctrl-C is for the shell
                )
            except OSError:
                ours.close()
                raise
        output = process.stdout
        showing = asyncio.create_task(_show(output, show)) if show and output else None
        return cls(process, Inherited(ours.detach()), showing)

    async def finish(self, link: Link) -> int:
        """End the server, politely at first, and return its exit status."""
        with contextlib.suppress(CommandFailed, NotConnected, TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await link.execute("quit")
        await link.close()
        status = await self._end()
        if self._showing is not None:
            await self._showing
        return status

    async def _end(self) -> int:
        for end in (self._process.terminate, self._process.kill):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    return await self._process.wait()
            with contextlib.suppress(ProcessLookupError):
                end()
        return await self._process.wait()


async def _show(output: asyncio.StreamReader, show: Callable[[str], None]) -> None:
    """Hand on what comes until there is no more."""
    while data := await output.read(_CHUNK):
        show(data.decode(errors="replace").rstrip("\n"))


def options(command: Sequence[str], fd: int) -> list[str]:
    """Return what makes a program serve QMP on a connected socket: an emulator, or a storage daemon."""
    chardev = f"socket,id={_LABEL},fd={fd}"
    if _is_storage_daemon(command):
        return ["--chardev", chardev, "--monitor", f"chardev={_LABEL}"]
    return ["-chardev", chardev, "-mon", f"chardev={_LABEL},mode=control"]


def _is_storage_daemon(command: Sequence[str]) -> bool:
    """Judge by the first name that says it, since a program may be started by another."""
    for word in command:
        name = os.path.basename(word)
        if name.startswith(_EMULATORS):
            return False
        if name.startswith(_DAEMONS):
            return True
    return False
