"""Hold one run of the tool: what opens images, and where messages go."""

import sys

from qmpserver.cli.images.images import Images
from qmpserver.cli.reports import Reporter
from qmpserver.errors import QMPError
from qmpserver.io_commands.session import Session


class StandardStreams:
    """Says results on standard output, and on standard error what is wrong.

    Args:
        reporter: Where messages go.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def say(self, line: str) -> None:
        """Say what a command found, or what it complains of."""
        print(line)

    def remark(self, line: str) -> None:
        """Say how a command is typed."""
        sys.stdout.flush()
        self._reporter.advise(line)

    def refuse(self, error: QMPError, about: str = "") -> None:
        """Say what the engine has against something."""
        sys.stdout.flush()
        self._reporter.error(about + error.description)

    def warn(self, what: str, instead: str) -> None:
        """Say what is deprecated, and what to write instead."""
        self._reporter.deprecation(what, instead)


class ToolSession(Session):
    """One run of the tool.

    Args:
        images: The engine, and the objects in it.
        reporter: Where messages go.
        names_are_options: What is opened is named by options, not by file names.

    Attributes:
        images: As given.
        reporter: As given.
        names_are_options: As given.
        is_over: The user has had enough.
    """

    def __init__(self, images: Images, reporter: Reporter, *, names_are_options: bool) -> None:
        super().__init__(images.engine.graph, images.engine.schema, StandardStreams(reporter))
        self.images = images
        self.reporter = reporter
        self.names_are_options = names_are_options
        self.is_over = False

    async def close(self) -> None:
        """Close what is open, when all requests have ended.

        QEMU: it waits for ever for a request that is stopped at a breakpoint, which is let go here.

        Raises:
            OSError: It could not be written back in full.
        """
        image = self.image
        if image is None:
            return
        if self.has_requests and image.breakpoints is not None:
            image.breakpoints.resume_all()
        await self.settle()
        self.image = None
        async with self.graph.lock:
            await image.backend.remove()
