"""Carry what happened from whoever saw it to whoever listens."""

from collections.abc import Callable
from typing import Any, NamedTuple

from qmpserver.clock import Clock

Listener = Callable[["Event"], None]


class Event(NamedTuple):
    """Something that happened, as the wire tells it.

    Attributes:
        name: The event's QMP name.
        data: Its members, or None for an event that has none.
        realtime_us: When it happened, in microseconds since the epoch.
        sequence: Its number since the server began, counted from 1.
    """

    name: str
    data: dict[str, Any] | None
    realtime_us: int
    sequence: int = 0

    def to_wire(self, *, with_sequence: bool = False) -> dict[str, Any]:
        """Shape the event as a QMP message.

        Args:
            with_sequence: Tell its number as well, as QEMU does not.
        """
        seconds, microseconds = divmod(self.realtime_us, 1_000_000)
        message: dict[str, Any] = {
            "timestamp": {"seconds": seconds, "microseconds": microseconds},
            "event": self.name,
        }
        if self.data is not None:
            message["data"] = self.data
        if with_sequence:
            message["x-sequence"] = self.sequence
        return message


class EventBus:
    """Stamp events and hand each to every listener, in order, at once.

    Args:
        clock: Where the time stamps come from.

    Attributes:
        last_sequence: The number of the event that came last; 0 before the first.
    """

    def __init__(self, clock: Clock) -> None:
        self.last_sequence = 0
        self._clock = clock
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Add a listener and return the call that takes it away again.

        A listener must not wait and must not raise.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def emit(self, name: str, data: dict[str, Any] | None = None) -> None:
        """Tell every listener that `name` happened now."""
        self.last_sequence += 1
        event = Event(name, data, self._clock.realtime_us(), self.last_sequence)
        for listener in tuple(self._listeners):
            listener(event)
