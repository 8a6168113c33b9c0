"""Serve the monitor for people to whoever is at the other end of a chardev."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from qmpserver import tasks
from qmpserver.log import get_logger
from qmpserver.machine.hmp.completion import complete
from qmpserver.machine.hmp.history import History
from qmpserver.machine.hmp.interpreter import run_line
from qmpserver.machine.hmp.line_editor import LineEditor
from qmpserver.machine.hmp.session import HumanSession
from qmpserver.machine.hmp.table import TABLES
from qmpserver.machine.hmp.terminal import make_raw
from qmpserver.machine.machine import Machine
from qmpserver.monitor.channel import Channel
from qmpserver.monitor.commands import BoundCommand
from qmpserver.monitor.fds import FdSets, FdStore
from qmpserver.qmp.features import Features
from qmpserver.sockets import Peer
from qmpserver.version import QEMU_VERSION

PROMPT = "(qemu) "
BANNER = f"QEMU {'.'.join(map(str, QEMU_VERSION))} monitor - type 'help' for more information\n"

_HARMLESS = ("", "info", "help", "?")
"""What changes nothing, and so need not be recorded."""

_READER_PATIENCE_S = 1.0
"""How long the end waits for people to be shown the last words."""


class HumanMonitor:
    """Serve any number of people, each at a line of their own.

    Args:
        machine: What their commands are about.
        commands: QMP's commands by name.
    """

    def __init__(self, machine: Machine, commands: Mapping[str, BoundCommand]) -> None:
        self.machine = machine
        self.commands = commands
        self.log = get_logger("hmp")
        self._clients: set[HumanClient] = set()
        self._last_id = 0
        self._restore: Callable[[], None] = lambda: None

    def use_terminal(self, fd: int) -> None:
        """Have a terminal hand over each key, until the end."""
        self._restore = make_raw(fd)

    def attach(
        self,
        channel: Channel,
        peer: Peer,
        *,
        pretty: bool = False,
        on_end: Callable[[], object] | None = None,
    ) -> "HumanClient":
        """Serve somebody new.

        Args:
            channel: Where they are; not started yet.
            peer: Who they are.
            pretty: Makes no difference.
            on_end: Called once when they are gone.
        """
        del pretty
        self._last_id += 1
        client = HumanClient(self, channel, peer, self._last_id, on_end)
        self._clients.add(client)
        client.start()
        return client

    def forget(self, client: "HumanClient") -> None:
        """Take note that somebody is gone."""
        self._clients.discard(client)

    async def close(self) -> None:
        """Let commands under way end and last words arrive, for a while; then break all connections."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_READER_PATIENCE_S):
                for client in tuple(self._clients):
                    await client.settled()
        for client in tuple(self._clients):
            client.close()
        self._restore()


class HumanClient:
    """Somebody at a line.

    Args:
        owner: The monitor.
        channel: Where they are.
        peer: Who they are.
        client_id: Their number.
        on_end: Called once when they are gone.
    """

    def __init__(
        self,
        owner: HumanMonitor,
        channel: Channel,
        peer: Peer,
        client_id: int,
        on_end: Callable[[], object] | None,
    ) -> None:
        self.client_id = client_id
        self.peer = peer
        self.fds = FdStore()
        self.fd_sets: FdSets = owner.machine.fd_sets
        self.features = Features()
        self.is_gone = False
        self._owner = owner
        self._channel = channel
        self._on_end = on_end
        history = History()
        self._session = HumanSession(owner.machine, self, owner.commands, history.lines, is_interactive=True)
        self._editor = LineEditor(PROMPT, lambda line: complete(TABLES, owner.machine, line), history)
        self._running: set[asyncio.Task[Any]] = set()
        self._has_ended = False
        self._drained: asyncio.Event = asyncio.Event()

    def start(self) -> None:
        """Greet them and listen."""
        self.fd_sets.client_came()
        self._channel.start(self)
        self._write(BANNER)
        self._prompt()

    def close(self) -> None:
        """Break the connection; what was not read is lost."""
        self._channel.close()

    async def settled(self) -> None:
        """Wait until the command under way has ended and everything was read, or they are gone."""
        while self._running - {asyncio.current_task()}:
            await asyncio.wait(self._running)
        while self._channel.backlog and not self.is_gone:
            self._drained.clear()
            await self._drained.wait()

    # What the channel tells

    def received(self, data: bytes, fds: list[int]) -> None:
        """Take what was typed, and descriptors for the next command."""
        if fds:
            self.fds.arrive(fds)
        self._editor.feed(data)
        if not self._running:
            self._go_on()

    def ended(self) -> None:
        """Show what there is to show, then break the connection too."""
        self._has_ended = True
        if not self._running:
            self._go_on()

    def drained(self) -> None:
        """Go on with what was typed: everything was read."""
        self._drained.set()
        if not self._running:
            self._go_on()

    def lost(self, error: OSError | None) -> None:
        """Let go of everything but the command under way."""
        del error
        self.is_gone = True
        self._drained.set()
        self.fds.close()
        self.fd_sets.client_left()
        self._owner.forget(self)
        if self._on_end is not None:
            self._on_end()

    # Lines

    def _go_on(self) -> None:
        """Edit what was typed, and carry out the first line that was ended; the next waits for it.

        What is shown of what is typed is many times as long, so nothing is done before it was read.
        """
        if self.is_gone or self._channel.backlog:
            return
        line = self._editor.next_line()
        self._channel.write(self._editor.take_output())
        if line is not None:
            self._channel.pause_reading()
            tasks.spawn(self._running, self._carry_out(line)).add_done_callback(self._line_ended)
        elif self._editor.has_more:
            self._channel.pause_reading()
            asyncio.get_running_loop().call_soon(self._go_on_later)
        elif not self._has_ended:
            self._channel.resume_reading()
        elif not self._channel.backlog:
            self._channel.close()

    def _go_on_later(self) -> None:
        if not self._running:
            self._go_on()

    async def _carry_out(self, line: str) -> None:
        self._write(await run_line(TABLES, self._session, line))
        # Only the command's name: what follows may be a secret.
        name, _, _ = line.strip().partition(" ")
        if name not in _HARMLESS:
            self._owner.log.info("command", command=name, client=self.client_id, **self.peer.to_log())

    def _line_ended(self, _task: asyncio.Task[Any]) -> None:
        if self.is_gone or self._session.is_over:
            return
        self._prompt()
        self._go_on()

    def _prompt(self) -> None:
        self._editor.show_prompt()
        self._channel.write(self._editor.take_output())

    def _write(self, text: str) -> None:
        self._channel.write(text.replace("\n", "\r\n").encode("utf-8", "surrogateescape"))
