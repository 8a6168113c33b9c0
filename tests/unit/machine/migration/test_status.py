"""A migration's status is told where somebody wants to know, and its times are shown."""

from qmpserver.clock import ManualClock
from qmpserver.events import EventBus
from qmpserver.machine.migration.status import Progress, Status
from qmpserver.schema.loader import load
from qmpserver.units import NS_PER_MS

SCHEMA = load(with_machine=True)


def test_times_are_counted_from_where_they_begin() -> None:
    clock = ManualClock()
    progress = Progress(EventBus(clock), clock)
    progress.begin()
    for status, lasts_ms in ((Status.ACTIVE, 5), (Status.DEVICE, 7), (Status.COMPLETED, 11)):
        clock.advance(lasts_ms * NS_PER_MS)
        progress.enter(status)
    shown = progress.shown()
    assert (shown["setup-time"], shown["downtime"], shown["total-time"]) == (5, 11, 23)
    SCHEMA.commands["query-migrate"].check_reply(shown)


def test_a_status_is_told_once_and_only_to_who_wants_it() -> None:
    clock = ManualClock()
    events, told, wants = EventBus(clock), list[object](), [True]
    events.subscribe(lambda event: told.append(event.data))
    progress = Progress(events, clock, lambda: wants[0])
    progress.begin()
    progress.enter(Status.ACTIVE)
    progress.enter(Status.ACTIVE)
    wants[0] = False
    progress.fail("why")
    assert told == [{"status": "setup"}, {"status": "active"}]
    assert progress.shown() == {"status": "failed", "error-desc": "why"}
    assert progress.is_idle
    progress.begin()
    assert (progress.error, progress.is_idle) == ("", False)
