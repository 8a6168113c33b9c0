"""Join writes that arrive together and lie side by side, so that a format makes room for all of them at once.

Writes arrive together when they come within one turn of the event loop, as those of a client do that keeps
several in flight.  None of them waits for a disk.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import pairwise

from qmpserver.units import MiB

MOST = 2 * MiB
"""Bytes that are joined at most: while the host stores them, the next ones can be made ready."""

StoreRun = Callable[[int, list[memoryview]], Awaitable[None]]
"""Stores buffers, one behind the other, from a byte offset on; raises OSError."""


class _Place:
    """One write that waits to be told what becomes of it.

    Attributes:
        turn: Done when that is known.
        run: The writes that this one is to store, itself first; empty if it is not to store any.
        is_stored: Another one has stored it.
    """

    __slots__ = ("data", "is_stored", "offset", "run", "turn")

    def __init__(self, offset: int, data: memoryview) -> None:
        self.offset = offset
        self.data = data
        self.run: list[_Place] = []
        self.is_stored = False
        from qmpserver.outcome import Outcome  # noqa: PLC0415 - who writes nothing needs no asyncio (tasks.run)

        # Another one may be storing our memory: not even a cancelled write may end before that.
        self.turn: asyncio.Future[None] = Outcome()

    def settle(self, *, is_stored: bool) -> None:
        """Let the write go on."""
        self.is_stored = is_stored
        self.turn.set_result(None)


class Gathering:
    """Writes of one node that were begun in this turn of the event loop.

    Attributes:
        not_begun: How many have come and have not gone on yet; who comes later should not overtake them.
    """

    def __init__(self) -> None:
        self._waiting: list[_Place] = []
        self.not_begun = 0

    async def write(self, offset: int, data: memoryview, store: StoreRun) -> bool:
        """Store `data` together with its neighbours, and say whether that was done.

        It is not when there are none, or when storing them failed; then each write is to be made by itself, and
        so meets the error that is its own.

        Args:
            offset: First byte.
            data: What to store.
            store: Stores a run of neighbours, if this one is the first of them.
        """
        place = _Place(offset, data)
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._sort_out)
        self._waiting.append(place)
        self.not_begun += 1
        is_stored = False
        try:
            await self._turn(place)
            if not place.run:
                return place.is_stored
            await store(offset, [each.data for each in place.run])
            is_stored = True
        except OSError:
            return False
        finally:
            for other in place.run[1:]:
                other.settle(is_stored=is_stored)
        return True

    async def _turn(self, place: _Place) -> None:
        try:
            await place.turn
        finally:
            self.not_begun -= 1

    def _sort_out(self) -> None:
        """Find the neighbours; the first of them goes on and stores them all."""
        waiting, self._waiting = self._waiting, []
        for run in _runs(sorted(waiting, key=lambda place: place.offset)):
            first = run[0]
            if len(run) > 1:
                first.run = run
            first.settle(is_stored=False)


def _runs(places: list[_Place]) -> Iterator[list[_Place]]:
    """Split writes, sorted by offset, where one does not begin where that before it ends, or it would be too much."""
    run, total = places[:1], len(places[0].data)
    for before, place in pairwise(places):
        length = len(place.data)
        if place.offset != before.offset + len(before.data) or total + length > MOST:
            yield run
            run, total = [], 0
        run.append(place)
        total += length
    yield run
