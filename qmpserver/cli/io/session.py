"""Hold what is open and what is in flight, between one command and the next."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

from qmpserver.cli.images.images import Images
from qmpserver.cli.io.image import OpenImage
from qmpserver.cli.option_lists import SIZE_HINT, SIZE_TEXT
from qmpserver.cli.reports import Reporter
from qmpserver.errors import QMPError


class Session:
    """One run of the tool.

    Args:
        images: The engine, and the objects in it.
        reporter: Where messages go.
        names_are_options: What is opened is named by options, not by file names.

    Attributes:
        images: As given.
        reporter: As given.
        names_are_options: As given.
        image: What is open, or None.
        is_over: The user has had enough.
    """

    def __init__(self, images: Images, reporter: Reporter, *, names_are_options: bool) -> None:
        self.images = images
        self.reporter = reporter
        self.names_are_options = names_are_options
        self.image: OpenImage | None = None
        self.is_over = False
        self._in_flight: set[asyncio.Task[None]] = set()

    @property
    def opened(self) -> OpenImage:
        """The image, which is known to be open."""
        assert self.image is not None
        return self.image

    def refuse(self, error: QMPError, about: str = "") -> None:
        """Say what the engine has against it."""
        sys.stdout.flush()
        self.reporter.error(about + error.description)
        if error.description.endswith(SIZE_TEXT):
            self.reporter.advise(SIZE_HINT)

    def remark(self, line: str) -> None:
        """Say something on standard error."""
        sys.stdout.flush()
        self.reporter.advise(line)

    def begin(self, request: Coroutine[Any, Any, None]) -> None:
        """Have a request carried out while further commands are read.  It says itself how it ended."""
        task = asyncio.get_running_loop().create_task(request)
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    async def let_others_begin(self) -> None:
        """Let each request that was begun come to its first wait, ahead of one that is made now."""
        if self._in_flight:
            await asyncio.sleep(0)

    async def settle(self) -> None:
        """Wait until all requests have ended."""
        while self._in_flight:
            await asyncio.wait(set(self._in_flight))

    async def close(self) -> None:
        """Close what is open, when all requests have ended.

        QEMU: it waits for ever for a request that is stopped at a breakpoint, which is let go here.

        Raises:
            OSError: It could not be written back in full.
        """
        image = self.image
        if image is None:
            return
        if self._in_flight and image.breakpoints is not None:
            image.breakpoints.resume_all()
        await self.settle()
        self.image = None
        async with self.images.engine.graph.lock:
            await image.backend.remove()
