"""Count the requests in flight on a node, and hold new ones back while it is drained."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any


class Gate:
    """The way of requests to a node.

    A request looks whether the gate is closed, adds itself to `in_flight`, and calls :meth:`leave` in the end.

    Attributes:
        closed: How many hold the node still; new requests wait while there is any.
        in_flight: How many requests have passed and not left.
    """

    __slots__ = ("_idle", "_opened", "closed", "in_flight")

    def __init__(self) -> None:
        self.closed = 0
        self.in_flight = 0
        self._idle: asyncio.Future[None] | None = None
        self._opened: asyncio.Future[None] | None = None

    def leave(self) -> None:
        """Let a request that has passed be over."""
        self.in_flight -= 1
        if self._idle is not None and not self.in_flight:
            self._idle.set_result(None)
            self._idle = None

    def close(self) -> None:
        """Hold back new requests, until :meth:`open` was called as often."""
        self.closed += 1

    def open(self) -> None:
        """Let those go on that wait, unless somebody else holds the node still."""
        self.closed -= 1
        if not self.closed and self._opened is not None:
            self._opened.set_result(None)
            self._opened = None

    async def until_idle(self) -> None:
        """Wait until no request is in flight."""
        while self.in_flight:
            if self._idle is None:
                self._idle = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._idle)

    async def until_opened(self) -> None:
        """Wait until the gate is opened; it may be closed again by the time the caller goes on."""
        if self._opened is None:
            self._opened = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._opened)


class Passage(contextlib.AbstractAsyncContextManager[None]):
    """A request's stay behind a gate; a generator would cost several times as much.

    Args:
        gate: The gate.
        until_open: Waits until the request may pass.
    """

    __slots__ = ("_gate", "_until_open")

    def __init__(self, gate: Gate, until_open: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._gate = gate
        self._until_open = until_open

    async def __aenter__(self) -> None:
        if self._gate.closed:
            await self._until_open()
        self._gate.in_flight += 1

    async def __aexit__(self, *_error: object) -> None:
        self._gate.leave()
