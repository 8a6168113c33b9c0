"""Keep all clients of one set of commands, and tell them what happens."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from qmpserver.clock import Clock, Timer
from qmpserver.events import Event, EventBus
from qmpserver.log import Logger, get_logger
from qmpserver.monitor.channel import Channel
from qmpserver.monitor.client import ClientConnection
from qmpserver.monitor.commands import BoundCommand
from qmpserver.monitor.fds import FdSets
from qmpserver.monitor.request_keys import RequestKeys
from qmpserver.polling import BusyPoll
from qmpserver.qmp import messages
from qmpserver.qmp.ratelimit import RateLimiter, RateLimits
from qmpserver.sockets import Peer

MAX_CLIENTS = 256
"""Further clients are turned away."""

_COMMAND_PATIENCE_S = 5.0
"""How long the end waits for commands under way."""

_READER_PATIENCE_S = 1.0
"""How long the end waits for clients to read the last words."""


class Monitor:
    """Serve QMP to any number of clients.

    Each negotiates for itself and runs its own commands in order; events go to all that have
    negotiated.

    Args:
        commands: Every command but ``qmp_capabilities``, by name.
        events: Where events come from.
        clock: What rate limits are measured by.
        rate_limits: Which events are limited.
        version: As ``query-version`` returns it.
        fd_sets: The sets of passed descriptors, shared with other monitors; its own when none are given.
        log: Where to log; the logger "monitor" by default.
    """

    def __init__(
        self,
        commands: Mapping[str, BoundCommand],
        events: EventBus,
        clock: Clock,
        rate_limits: RateLimits,
        version: dict[str, Any],
        *,
        fd_sets: FdSets | None = None,
        log: Logger | None = None,
    ) -> None:
        self.commands = commands
        self.version = version
        self.fd_sets = fd_sets or FdSets()
        self.log = log or get_logger("monitor")
        self.busy_poll = BusyPoll()
        self.request_keys = RequestKeys()
        self.running: set[asyncio.Task[Any]] = set()
        self._clock = clock
        self._limiter = RateLimiter(rate_limits)
        self._timer: Timer | None = None
        self._clients: dict[int, ClientConnection] = {}
        self._last_id = 0
        self._is_stopping = False
        self._is_closed = False
        self._unsubscribe = events.subscribe(self._on_event)

    @property
    def clients(self) -> list[ClientConnection]:
        """Those who are connected, the oldest first."""
        return list(self._clients.values())

    def attach(
        self,
        channel: Channel,
        peer: Peer,
        *,
        pretty: bool = False,
        on_end: Callable[[], object] | None = None,
    ) -> ClientConnection:
        """Serve a new client, and return it; it may be gone already.

        Args:
            channel: Where it is; not started yet.
            peer: Who it is.
            pretty: Its messages are to be indented.
            on_end: Called once when it is gone.
        """
        self._last_id += 1
        client = ClientConnection(self, channel, peer, self._last_id, pretty=pretty, on_end=on_end)
        self._clients[client.client_id] = client
        self.fd_sets.client_came()
        client.start()
        if self._is_stopping:
            client.stop()
        if len(self._clients) > MAX_CLIENTS:
            self.log.warning("client turned away: too many", clients=MAX_CLIENTS)
            client.close()
        return client

    def forget(self, client: ClientConnection) -> None:
        """Take note that a client is gone."""
        del self._clients[client.client_id]
        self.fd_sets.client_left()

    async def stop(self) -> None:
        """Run no more commands; let those under way end, for a while.  Events still go out."""
        self._is_stopping = True
        for client in self.clients:
            client.stop()
        await self._end_running()

    async def close(self) -> None:
        """Stop; let last words arrive, for a while; then break all connections."""
        if self._is_closed:
            return
        self._is_closed = True
        await self.stop()
        self._unsubscribe()
        if self._timer is not None:
            self._timer.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_READER_PATIENCE_S):
                for client in self.clients:
                    await client.flushed()
        for client in self.clients:
            client.close()

    async def _end_running(self) -> None:
        """Wait for the commands under way, then cancel what is left; the caller may be one of them."""
        running = (self.running - {asyncio.current_task()}).union(*(client.waits for client in self.clients))
        if running:
            _, stuck = await asyncio.wait(running, timeout=_COMMAND_PATIENCE_S)
            for task in stuck:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    # Events

    def _on_event(self, event: Event) -> None:
        now_ns = self._clock.monotonic_ns()
        if self._limiter.admit(event, now_ns):
            self._broadcast(event)
        self._set_timer(now_ns)

    def _on_timer(self) -> None:
        self._timer = None
        now_ns = self._clock.monotonic_ns()
        for event in self._limiter.expire(now_ns):
            self._broadcast(event)
        self._set_timer(now_ns)

    def _set_timer(self, now_ns: int) -> None:
        end_ns = self._limiter.next_end_ns if self._timer is None else None
        if end_ns is not None:
            self._timer = self._clock.call_later(max(end_ns - now_ns, 0), self._on_timer)

    def _broadcast(self, event: Event) -> None:
        lines: dict[bool, bytes] = {}
        for client in self.clients:
            wants_sequence = client.wants_sequence
            if wants_sequence not in lines:
                lines[wants_sequence] = messages.event(event.to_wire(with_sequence=wants_sequence))
            client.send_event(lines[wants_sequence])
