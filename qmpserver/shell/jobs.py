"""Follow the jobs of a server."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from qmpserver.shell.client import CommandFailed, Message, NotConnected

LOOK_EVERY_S = 0.25
"""How often jobs are looked at while there are some."""

_ENDED = ("concluded", "null")

_COPIED = ("ready", "standby", "waiting", "pending")
"""States in which a job that had nothing to do has done it."""


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is.

    Attributes:
        id: The job.
        type: What it does.
        status: Where it is in its life.
        done: How much of its work is done, in units of its own.
        total: How much work it has, as far as it knows.
    """

    id: str
    type: str
    status: str
    done: int
    total: int

    @property
    def share(self) -> float:
        """How much of it is done, from 0 to 1."""
        if not self.total:
            return 1.0 if self.status in _COPIED else 0.0
        return min(1.0, self.done / self.total)


class Jobs:
    """Know the jobs under way.

    Args:
        execute: Runs a command with keywords as its arguments.
        on_change: Is called when something is known that was not.

    Attributes:
        under_way: The jobs that have not ended.
    """

    def __init__(self, execute: Callable[..., Awaitable[Any]], on_change: Callable[[], None]) -> None:
        self.under_way: Sequence[JobProgress] = ()
        self._execute = execute
        self._on_change = on_change
        self._stirred = asyncio.Event()
        self._stirred.set()

    def take_event(self, message: Message) -> None:
        """Look at the jobs soon, if an event says that one has changed."""
        if message["event"].startswith(("JOB_", "BLOCK_JOB_")):
            self._stirred.set()

    def stir(self) -> None:
        """Look at the jobs soon, as when the server has come back."""
        self._stirred.set()

    async def follow(self) -> None:
        """Keep looking, often while there are jobs, and without them when an event says so."""
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            await self.look()
            while self.under_way:
                await asyncio.sleep(LOOK_EVERY_S)
                await self.look()

    async def look(self) -> None:
        """Ask the server once."""
        before = self.under_way
        try:
            answer = await self._execute("query-jobs")
        except (CommandFailed, NotConnected):
            answer = []
        self.under_way = [
            JobProgress(job["id"], job["type"], job["status"], job["current-progress"], job["total-progress"])
            for job in answer
            if job["status"] not in _ENDED
        ]
        if self.under_way != before:
            self._on_change()
