"""Move a job's data: several chunks in flight, and never more memory than was agreed.

Every job copies through this engine.  A chunk is one call that moves a range; which call that is,
the job says (a stream prefetches through its copy-on-read filter).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from qmpserver.tasks import is_without_loop, pause
from qmpserver.units import MiB

MAX_IN_FLIGHT = 4
"""Chunks moved at the same time; with two processors more gains nothing."""

CHUNK = 2 * MiB
"""Bytes of one chunk."""

MoveChunk = Callable[[int, int], Awaitable[None]]
"""Moves one range, given offset and length in bytes; raises OSError."""

Outcome = Callable[[int, int, OSError | None], None]
"""Told of each chunk that ended: offset, length, and the error if it failed."""


class Buffers:
    """Room for chunks, kept for the next one.  At most as much is kept as was lent at the same time."""

    def __init__(self) -> None:
        self._free: list[bytearray] = []

    def buffer(self, length: int) -> memoryview:
        """Lend room for `length` bytes, whatever they hold."""
        room = self._free.pop() if self._free else bytearray(CHUNK)
        if length > len(room):
            room = bytearray(length)
        return memoryview(room)[:length]

    def give_back(self, buffer: memoryview) -> None:
        """Take back what :meth:`buffer` lent."""
        room = buffer.obj
        if isinstance(room, bytearray) and len(room) == CHUNK:
            self._free.append(room)


class CopyEngine:
    """Chunks in flight on behalf of one job.

    Args:
        move: Moves one chunk.
        on_done: Told when a chunk has ended.
        max_in_flight: Chunks moved at the same time.
    """

    def __init__(self, move: MoveChunk, on_done: Outcome, max_in_flight: int = MAX_IN_FLIGHT) -> None:
        self._move = move
        self._on_done = on_done
        self._max_in_flight = max_in_flight
        self._tasks: set[asyncio.Task[Any]] = set()
        self._buffers = Buffers()
        self._mistake: Exception | None = None

    @property
    def in_flight(self) -> int:
        """Chunks being moved now."""
        return len(self._tasks)

    def buffer(self, length: int) -> memoryview:
        """Lend room for one chunk; at most as many are lent as chunks are in flight."""
        return self._buffers.buffer(length)

    def give_back(self, buffer: memoryview) -> None:
        """Take back what :meth:`buffer` lent."""
        self._buffers.give_back(buffer)

    async def submit(self, offset: int, length: int) -> None:
        """Begin to move a range, first waiting until there is room for it; without a loop, move it.

        Raises:
            Exception: What no chunk should have raised; `on_done` does not hear of that chunk.
        """
        if is_without_loop():
            await pause()
            await self._run(offset, length)
            self._raise_mistake()
            return
        while len(self._tasks) >= self._max_in_flight:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        self._raise_mistake()
        task = asyncio.get_running_loop().create_task(self._run(offset, length))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Wait until nothing is in flight, whatever became of it.

        Raises:
            Exception: As :meth:`submit`.
        """
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._raise_mistake()

    def _raise_mistake(self) -> None:
        mistake, self._mistake = self._mistake, None
        if mistake is not None:
            raise mistake

    async def _run(self, offset: int, length: int) -> None:
        error: OSError | None = None
        try:
            await self._move(offset, length)
        except OSError as caught:
            error = caught
        except Exception as caught:  # noqa: BLE001 - raised again in the job's own task
            self._mistake = caught
            return
        self._on_done(offset, length, error)
