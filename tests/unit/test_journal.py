"""The latest events, kept."""

from qmpserver.clock import ManualClock
from qmpserver.events import EventBus
from qmpserver.journal import EventJournal


def test_what_came_after_a_number_is_returned_in_order() -> None:
    bus = EventBus(ManualClock())
    journal = EventJournal(bus)
    assert journal.last_sequence == 0
    for name in "ABC":
        bus.emit(name)
    assert [(event.sequence, event.name) for event in journal.since(1)] == [(2, "B"), (3, "C")]
    assert journal.since(3) == []
    assert journal.last_sequence == 3


def test_only_the_latest_are_kept() -> None:
    bus = EventBus(ManualClock())
    journal = EventJournal(bus, kept=2)
    for name in "ABCD":
        bus.emit(name)
    assert [event.sequence for event in journal.since(0)] == [3, 4]
