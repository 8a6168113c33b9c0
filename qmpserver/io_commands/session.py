"""Hold what is open and what is in flight, between one command and the next, and say what there is to say."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from qmpserver.block.graph import Graph
from qmpserver.errors import QMPError
from qmpserver.io_commands.image import OpenImage
from qmpserver.schema.model import Schema


class Voice(Protocol):
    """Where a session says things."""

    def say(self, line: str) -> None:
        """Say what a command found, or what it complains of."""

    def remark(self, line: str) -> None:
        """Say how a command is typed."""

    def refuse(self, error: QMPError, about: str = "") -> None:
        """Say what the engine has against something."""

    def warn(self, what: str, instead: str) -> None:
        """Say what is deprecated, and what to write instead."""


class Session:
    """Commands that follow each other on one image.

    Args:
        graph: What the image is part of.
        schema: What options it may have.
        voice: Where things are said.

    Attributes:
        graph: As given.
        schema: As given.
        voice: As given.
        image: What is open, or None.
    """

    def __init__(self, graph: Graph, schema: Schema, voice: Voice) -> None:
        self.graph = graph
        self.schema = schema
        self.voice = voice
        self.image: OpenImage | None = None
        self._in_flight: set[asyncio.Task[None]] = set()

    @property
    def opened(self) -> OpenImage:
        """The image, which is known to be open."""
        assert self.image is not None
        return self.image

    def say(self, text: str) -> None:
        """Say what a command found, or what it complains of."""
        self.voice.say(text)

    async def prepare_to_write(self) -> None:
        """Hold what is needed to write to the image and to resize it; here that is held anyway.

        Raises:
            NodeInUse: Another user of the image does not agree.
        """

    def begin(self, request: Coroutine[Any, Any, None]) -> None:
        """Have a request carried out while further commands are read.  It says itself how it ended."""
        task = asyncio.get_running_loop().create_task(request)
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    @property
    def has_requests(self) -> bool:
        """Whether requests are in flight."""
        return bool(self._in_flight)

    async def let_others_begin(self) -> None:
        """Let each request that was begun come to its first wait, ahead of one that is made now."""
        if self._in_flight:
            await asyncio.sleep(0)

    async def settle(self) -> None:
        """Wait until all requests have ended."""
        while self._in_flight:
            await asyncio.wait(set(self._in_flight))
