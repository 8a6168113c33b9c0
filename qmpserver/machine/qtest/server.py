"""Carry the lines of the qtest protocol."""

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any, TextIO

from qmpserver import tasks
from qmpserver.log import get_logger
from qmpserver.machine.qtest.protocol import QtestProtocol
from qmpserver.monitor.channel import Channel
from qmpserver.sockets import Peer

MOST_PENDING = 1 << 20
"""Bytes of lines that were not answered, above which a client is parted with."""


class QtestLog:
    """Write what is said, as QEMU does: the direction, the seconds since the start, and the line.

    Args:
        stream: Where to, or None for nowhere.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._began = time.monotonic()

    def write(self, direction: str, line: str) -> None:
        """Write one line; `direction` is R for received, S for sent and I for what is only noted."""
        if self._stream is not None:
            self._stream.write(f"[{direction} +{time.monotonic() - self._began:.6f}] {line}\n")
            self._stream.flush()


class QtestServer:
    """Serve clients, each line of each after the one before.

    Args:
        protocol: What answers.
        log: Where it is told.
    """

    def __init__(self, protocol: QtestProtocol, log: QtestLog) -> None:
        self.protocol = protocol
        self.log = get_logger("machine")
        self.line_log = log
        self._clients: set[QtestClient] = set()

    def attach(
        self,
        channel: Channel,
        peer: Peer,
        *,
        pretty: bool = False,
        on_end: Callable[[], object] | None = None,
    ) -> "QtestClient":
        """Serve somebody new; `peer` and `pretty` make no difference."""
        del peer, pretty
        client = QtestClient(self, channel, on_end)
        self._clients.add(client)
        channel.start(client)
        return client

    def forget(self, client: "QtestClient") -> None:
        """Take note that somebody is gone."""
        self._clients.discard(client)

    async def close(self) -> None:
        """Break all connections, and let what is under way end."""
        for client in tuple(self._clients):
            client.close()
            await client.settled()


class QtestClient:
    """Somebody who turns the clock.

    Args:
        owner: Who serves them.
        channel: Where they are.
        on_end: Called once when they are gone.
    """

    def __init__(self, owner: QtestServer, channel: Channel, on_end: Callable[[], object] | None) -> None:
        self.is_gone = False
        self._owner = owner
        self._channel = channel
        self._on_end = on_end
        self._pending = bytearray()
        self._running: set[asyncio.Task[Any]] = set()
        self._is_answering = self._has_ended = False

    def close(self) -> None:
        """Break the connection."""
        self._channel.close()

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        await asyncio.gather(*self._running)

    # What the channel tells

    def received(self, data: bytes, fds: list[int]) -> None:
        """Take lines, or parts of them."""
        for fd in fds:
            os.close(fd)
        self._pending += data
        if len(self._pending) > MOST_PENDING:
            self._channel.close()
        elif not self._is_answering and b"\n" in self._pending:
            self._is_answering = True
            tasks.spawn(self._running, self._answer_all())

    async def _answer_all(self) -> None:
        while not self.is_gone and b"\n" in self._pending:
            line, _, self._pending = self._pending.partition(b"\n")
            text = line.removesuffix(b"\r").decode("utf-8", "replace")
            self._owner.line_log.write("R", text)
            answer = await self._owner.protocol.answer(text)
            self._owner.line_log.write("S", answer)
            self._channel.write(f"{answer}\n".encode())
            if self._channel.backlog:
                # Whoever does not read is not listened to.
                self._channel.pause_reading()
        self._is_answering = False
        if self._has_ended:
            self._channel.close()

    def ended(self) -> None:
        """Answer what has come, then break the connection too."""
        self._has_ended = True
        if not self._is_answering:
            self._channel.close()

    def drained(self) -> None:
        """Listen again."""
        self._channel.resume_reading()

    def lost(self, error: OSError | None) -> None:
        """Note that they are gone."""
        del error
        self.is_gone = True
        self._pending.clear()
        self._owner.forget(self)
        if self._on_end is not None:
            self._on_end()
