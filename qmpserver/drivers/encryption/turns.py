"""Let writers of the same sectors wait for one another where one of them must read before it writes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class SectorTurns:
    """The writes under way, by the ranges of sectors they concern.

    Whole sectors may be written side by side, as their user sees fit; parts of sectors may not, as the rest of
    the sector is written with them.
    """

    def __init__(self) -> None:
        self._writing: dict[object, tuple[int, int, bool]] = {}
        self._changed: asyncio.Future[None] | None = None
        self._partial = 0

    @contextlib.asynccontextmanager
    async def write(self, start: int, end: int, *, is_partial: bool) -> AsyncIterator[None]:
        """Write sectors from `start` up to `end`, some of them perhaps in part."""
        ticket = object()
        self._partial += is_partial
        try:
            while self._must_wait(start, end, is_partial=is_partial):
                if self._changed is None:
                    self._changed = asyncio.get_running_loop().create_future()
                await asyncio.shield(self._changed)
            self._writing[ticket] = start, end, is_partial
            yield
        finally:
            self._partial -= is_partial
            if self._writing.pop(ticket, None) is not None and self._changed is not None:
                self._changed.set_result(None)
                self._changed = None

    def _must_wait(self, start: int, end: int, *, is_partial: bool) -> bool:
        if not self._partial:
            return False
        return any(
            first < end and start < last and (is_partial or other_is_partial)
            for first, last, other_is_partial in self._writing.values()
        )
