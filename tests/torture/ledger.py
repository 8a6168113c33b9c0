"""Keep account of what an image may be found to hold when the power has gone.

Time is the number of entries that the logs of all files together have.
"""

from typing import Generic, TypeVar

SECTOR = 512
T = TypeVar("T")


class Fact(Generic[T]):
    """Something that changes in one step: before it or after it, and nothing in between.

    Args:
        value: What it is at first.
    """

    def __init__(self, value: T) -> None:
        self._history: list[tuple[int, bool, T]] = [(0, True, value)]

    @property
    def now(self) -> T:
        """What it was last settled to be."""
        return next(value for _, is_settled, value in reversed(self._history) if is_settled)

    def begin(self, time: int, value: T) -> None:
        """Note that from now on it may be this."""
        self._history.append((time, False, value))

    def settle(self, time: int, value: T) -> None:
        """Note that from now on it is this and nothing else."""
        self._history.append((time, True, value))

    def allowed(self, cut: int) -> list[T]:
        """Return what it may be when the power goes at that time."""
        values: list[T] = []
        for time, is_settled, value in self._history:
            if time <= cut:
                values = [value] if is_settled else [*values, value]
        return values


class Sectors:
    """What each sector may read as: what was flushed last, and whatever was written since.

    Args:
        guest: What the disk holds at first; what lies behind its end is zero.
    """

    def __init__(self, guest: bytes) -> None:
        sectors = [guest[at : at + SECTOR] for at in range(0, len(guest), SECTOR)]
        self._changes: list[tuple[int, int, bytes]] = []
        self._states: list[tuple[int, int, list[bytes]]] = [(0, 0, sectors)]

    @property
    def covered(self) -> int:
        """What a flush that begins now will make certain, to be handed to :meth:`flushed`."""
        return len(self._changes)

    def change(self, time: int, offset: int, data: bytes) -> None:
        """Note a write that is about to begin."""
        for start in range(0, len(data), SECTOR):
            self._changes.append((time, (offset + start) // SECTOR, data[start : start + SECTOR]))

    def flushed(self, covered: int, time: int) -> None:
        """Note that the first `covered` changes are certain from now on."""
        _, done, sectors = self._states[-1]
        sectors = list(sectors)
        for _, sector, value in self._changes[done:covered]:
            sectors[sector] = value
        self._states.append((time, covered, sectors))

    @property
    def now(self) -> bytes:
        """What the disk reads as while nothing is under way."""
        _, covered, sectors = self._states[-1]
        sectors = list(sectors)
        for _, sector, value in self._changes[covered:]:
            sectors[sector] = value
        return b"".join(sectors)

    def allowed(self, cut: int) -> list[set[bytes]]:
        """Return what each sector may read as when the power goes at that time."""
        _, covered, sectors = [state for state in self._states if state[0] <= cut][-1]
        allowed = [{value} for value in sectors]
        for time, sector, value in self._changes[covered:]:
            if time <= cut:
                allowed[sector].add(value)
        return allowed
