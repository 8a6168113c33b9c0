"""Let one coroutine at a time in, without an event loop until two of them meet.

``asyncio.Lock`` does the same, but to make one is to load asyncio, which a tool that does one thing after
the other has no use for (see :func:`qmpserver.tasks.run`).
"""

import asyncio
from collections import deque


class Lock:
    """Held by one coroutine at a time, in the order they came: ``async with lock: ...``."""

    __slots__ = ("_is_held", "_waiting")

    def __init__(self) -> None:
        self._is_held = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    def locked(self) -> bool:
        """Say whether anybody holds it."""
        return self._is_held

    async def acquire(self) -> None:
        """Take the lock; wait for those who came before.  Whoever is cancelled meanwhile does not hold it."""
        if not self._is_held:
            self._is_held = True
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                # It was handed to us already.
                self.release()
            raise

    def release(self) -> None:
        """Hand the lock to the next in line, or leave it free.

        Raises:
            RuntimeError: Nobody holds it.
        """
        if not self._is_held:
            raise RuntimeError("the lock is not held")
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._is_held = False

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(self, *exception: object) -> None:
        self.release()
