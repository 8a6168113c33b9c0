"""Keep the latest events, for clients that were away when they happened."""

from collections import deque

from qmpserver.events import Event, EventBus

KEPT = 4096
"""Events kept; the oldest go first."""


class EventJournal:
    """The latest events, in order.

    Args:
        events: Where they come from.
        kept: How many are kept.
    """

    def __init__(self, events: EventBus, kept: int = KEPT) -> None:
        self._bus = events
        self._events: deque[Event] = deque(maxlen=kept)
        events.subscribe(self._events.append)

    @property
    def last_sequence(self) -> int:
        """The number of the event that came last; 0 before the first."""
        return self._bus.last_sequence

    def since(self, sequence: int) -> list[Event]:
        """Return what came after the event of that number and is still kept.

        If anything between is not kept any more, the first one's number is not the next after `sequence`.
        """
        wanted = self.last_sequence - sequence
        return list(self._events)[-wanted:] if wanted > 0 else []
