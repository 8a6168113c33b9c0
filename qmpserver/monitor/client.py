"""Carry one client: feed its session, run what it asks for, send what comes out."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from types import CoroutineType
from typing import Any, Protocol

from qmpserver import tasks
from qmpserver.errors import QMPError, error_text
from qmpserver.log import Logger
from qmpserver.monitor.channel import Channel
from qmpserver.monitor.commands import BoundCommand
from qmpserver.monitor.fds import MAX_UNCLAIMED, FdSets, FdStore, close_all
from qmpserver.monitor.request_keys import RequestKeys
from qmpserver.polling import BusyPoll
from qmpserver.qmp import messages
from qmpserver.qmp.features import Features
from qmpserver.qmp.requests import Request
from qmpserver.qmp.session import Mode, Session
from qmpserver.sockets import Peer

COMMANDS_PER_TURN = 256
"""Commands of one client that are run before others have their turn."""

OUTPUT_PER_TURN = 256 << 10
"""Bytes of replies to one client, likewise; with as many unread, its commands wait."""

MAX_WAITS = 64
"""Commands of one client that wait beside the others."""

BACKLOG_LIMIT = 16 << 20
"""Unread bytes past which a client is dropped, because events go on whether it reads or not."""


class Owner(Protocol):
    """What a client needs of its monitor."""

    busy_poll: BusyPoll
    commands: Mapping[str, BoundCommand]
    fd_sets: FdSets
    version: dict[str, Any]
    log: Logger
    request_keys: RequestKeys
    running: "set[asyncio.Task[Any]]"

    def forget(self, client: "ClientConnection") -> None:
        """Take note that the client is gone."""


class ClientConnection:
    """One client, from its greeting to its end.

    In-band commands run strictly one after another.  When the client is gone, those under way end,
    and what they return is dropped.

    Args:
        owner: The monitor.
        channel: Where the client is.
        peer: Who it is.
        client_id: Its number.
        pretty: Its messages are indented.
        on_end: Called once when it is gone.
    """

    def __init__(
        self,
        owner: Owner,
        channel: Channel,
        peer: Peer,
        client_id: int,
        *,
        pretty: bool = False,
        on_end: Callable[[], object] | None = None,
    ) -> None:
        self.client_id = client_id
        self.peer = peer
        self.fds = FdStore()
        self.fd_sets = owner.fd_sets
        self._owner = owner
        self._channel = channel
        self._session = Session(owner.version, owner.commands)
        self._log = owner.log.bind(client=client_id, **peer.to_log())
        self._pretty = pretty
        self._on_end = on_end
        self._fresh_fds: list[int] = []
        self._out: list[bytes] = []
        self._flushed: asyncio.Future[None] | None = None
        self._waits: set[asyncio.Task[Any]] = set()
        self._is_in_turn = False
        self._is_turn_due = False
        self._has_ended = False
        self._is_stopping = False
        self._is_gone = False

    def start(self) -> None:
        """Greet the client and listen to it."""
        self._log.debug("client connected")
        self._channel.start(self)
        self._send(self._session.greeting())

    def close(self) -> None:
        """Break the connection; what the client has not read is lost."""
        self._channel.close()

    def stop(self) -> None:
        """Run no more commands; those under way end and are answered, those that only wait are broken off."""
        self._is_stopping = True
        self._break_off_waits()

    @property
    def waits(self) -> frozenset[asyncio.Task[Any]]:
        """The commands that only wait."""
        return frozenset(self._waits)

    def _break_off_waits(self) -> None:
        for wait in self._waits:
            wait.cancel()

    @property
    def features(self) -> Features:
        """What is switched on for the client."""
        return self._session.features

    @property
    def is_gone(self) -> bool:
        """Whether the connection is broken."""
        return self._is_gone

    @property
    def backlog(self) -> int:
        """Bytes that the client has not read."""
        return self._channel.backlog

    async def flushed(self) -> None:
        """Wait until the client has read everything, or is gone."""
        if self._channel.backlog:
            self._flushed = self._flushed or asyncio.get_running_loop().create_future()
            await asyncio.shield(self._flushed)

    def _note_flushed(self) -> None:
        if self._flushed is not None:
            self._flushed.set_result(None)
            self._flushed = None

    # What the channel tells

    def received(self, data: bytes, fds: list[int]) -> None:
        """Take bytes, and descriptors for the next command they hold."""
        if fds:
            self._fresh_fds += fds
            close_all(self._fresh_fds[MAX_UNCLAIMED:])
            del self._fresh_fds[MAX_UNCLAIMED:]
        self._owner.busy_poll.received()
        self._session.feed(data)
        if not self._is_turn_due:
            self._take_turn()

    def ended(self) -> None:
        """Answer what was asked, then break the connection too."""
        self._has_ended = True
        self._settle()

    def drained(self) -> None:
        """Go on with commands that waited for their replies to be read."""
        self._note_flushed()
        self._take_turn()

    def lost(self, error: OSError | None) -> None:
        """Let go of everything but the commands under way."""
        self._is_gone = True
        self._break_off_waits()
        self._note_flushed()
        self._out.clear()
        close_all(self._fresh_fds)
        self._fresh_fds = []
        self.fds.close()
        reason = {"reason": error_text(error)} if error else {}
        self._log.debug("client gone", **reason)
        self._owner.forget(self)
        if self._on_end is not None:
            self._on_end()

    # Commands

    def _take_turn(self) -> None:
        """Run commands, within bounds, and send all their replies at once."""
        self._is_turn_due = False
        if self._is_gone or self._is_stopping or self._channel.backlog >= OUTPUT_PER_TURN:
            self._channel.pause_reading()
            return
        self._is_in_turn = True
        try:
            self._is_turn_due = self._run_some()
        finally:
            # Whatever goes wrong in here, later lines must not wait for the end of a turn that is over.
            self._is_in_turn = False
        if self._out:
            self._flush()
        if self._is_turn_due:
            asyncio.get_running_loop().call_soon(self._take_turn)
        self._settle()

    def _run_some(self) -> bool:
        """Run what may be run now; say whether there may be more."""
        take, out, size = self._session.take, self._out, 0
        for _ in range(COMMANDS_PER_TURN):
            item = take()
            if item is None or self._is_gone:
                return False
            line = item if isinstance(item, bytes) else self._run(item)
            if line is not None:
                out.append(line)
                size += len(line)
                if size > OUTPUT_PER_TURN:
                    break
        return True

    def _settle(self) -> None:
        """Read on or not, and end when there is nothing more to do."""
        if self._session.wants_input and not self._is_turn_due:
            self._channel.resume_reading()
        else:
            self._channel.pause_reading()
        if self._has_ended and self._session.is_idle and not self._waits and not self._channel.backlog:
            self._channel.close()

    def _run(self, request: Request) -> bytes | None:
        """Run a command; return its reply, or None when that comes later."""
        if self._fresh_fds:
            self.fds.arrive(self._fresh_fds)
            self._fresh_fds = []
        command = self._owner.commands[request.name]
        try:
            arguments = command.check(request.arguments)
            if request.key is not None and command.changes:
                result = self._run_once(request.key, command, arguments)
            else:
                result = command.run(self, arguments)
            if type(result) is CoroutineType:
                result = tasks.step(result)
            line = messages.reply(result, request.request_id)
        except tasks.Pending as pending:
            self._run_on(request, pending.rest)
            return None
        except Exception as error:  # noqa: BLE001 - here a request ends
            return self._refusal(request, error)
        self._log_change(command)
        return line

    async def _run_once(self, key: str, command: BoundCommand, arguments: dict[str, Any]) -> Any:
        async def run() -> Any:
            result = command.run(self, arguments)
            return await result if type(result) is CoroutineType else result

        return await self._owner.request_keys.once(key, (command.name, arguments), run)

    def _log_change(self, command: BoundCommand) -> None:
        """Record who changed something; a refused command changed nothing."""
        if command.changes:
            self._log.info("command", command=command.name)

    def _run_on(self, request: Request, rest: Coroutine[Any, Any, Any]) -> None:
        if self._owner.commands[request.name].detached:
            self._run_beside(request, rest)
            return
        if not request.is_oob:
            self._session.suspend()
        tasks.spawn(self._owner.running, self._finish(request, rest))

    def _run_beside(self, request: Request, rest: Coroutine[Any, Any, Any]) -> None:
        """Let a detached command wait, unless there are too many."""
        if len(self._waits) < MAX_WAITS:
            tasks.spawn(self._waits, self._wait(request, rest)).add_done_callback(self._wait_ended)
            return
        rest.close()
        error = QMPError(f"No more than {MAX_WAITS} commands may wait at once", code="too-many")
        self._send(self._refusal(request, error))

    async def _wait(self, request: Request, rest: Coroutine[Any, Any, Any]) -> None:
        """Answer a detached command when its time has come."""
        try:
            line = messages.reply(await rest, request.request_id)
        except asyncio.CancelledError:
            if self._is_gone:
                raise
            line = self._refusal(request, QMPError("The server is ending", code="ending"))
        except Exception as error:  # noqa: BLE001 - here a request ends
            line = self._refusal(request, error)
        self._send(line)

    def _wait_ended(self, _wait: asyncio.Task[Any]) -> None:
        if not self._is_gone:
            self._settle()

    async def _finish(self, request: Request, rest: Coroutine[Any, Any, Any]) -> None:
        try:
            line = messages.reply(await rest, request.request_id)
        except Exception as error:  # noqa: BLE001 - here a request ends
            line = self._refusal(request, error)
        else:
            self._log_change(self._owner.commands[request.name])
        if self._is_gone:
            return
        self._send(line)
        if not request.is_oob:
            self._session.resume()
        self._take_turn()

    def _refusal(self, request: Request, error: Exception) -> bytes:
        """Say what was wrong; what no command should raise is logged and not shown."""
        if not isinstance(error, QMPError):
            error = self._as_refusal(request, error)
        return self._session.refusal(error, request.request_id)

    def _as_refusal(self, request: Request, error: Exception) -> QMPError:
        if isinstance(error, OSError):
            return QMPError(error_text(error), code="os-error", errno=error.errno or 0)
        self._log.error("command failed", command=request.name, exc_info=error)
        return QMPError("internal error", code="internal")

    # Output

    @property
    def wants_sequence(self) -> bool:
        """Whether its events are to tell their number."""
        return self._session.features.event_sequence

    def send_event(self, line: bytes) -> None:
        """Send an event, unless the client has not negotiated yet."""
        if self._session.mode is not Mode.COMMAND or self._is_gone:
            return
        if self._channel.backlog + len(line) > BACKLOG_LIMIT:
            self._log.warning("client dropped: it does not read", backlog=self._channel.backlog)
            self._channel.close()
            return
        self._send(line)

    def _send(self, line: bytes) -> None:
        """Send a line, after what this turn has said already."""
        self._out.append(line)
        if not self._is_in_turn:
            self._flush()

    def _flush(self) -> None:
        lines = [messages.indent(line) for line in self._out] if self._pretty else self._out
        data = b"".join(lines)
        self._out.clear()
        self._channel.write(data)
        self._owner.busy_poll.replied()
