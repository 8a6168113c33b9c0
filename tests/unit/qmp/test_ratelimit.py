"""Events that repeat too fast."""

from qmpserver.events import Event
from qmpserver.qmp.ratelimit import RateLimiter
from qmpserver.units import NS_PER_MS

LIMITS = {"SLOW": (1000, None), "PER_NODE": (500, "node")}


def event(name: str, serial: int, **data: str) -> Event:
    return Event(name, dict(data) or None, serial)


def ms(value: int) -> int:
    return value * NS_PER_MS


def test_an_event_without_a_limit_always_passes() -> None:
    limiter = RateLimiter(LIMITS)
    assert all(limiter.admit(event("FAST", serial), 0) for serial in range(5))
    assert limiter.next_end_ns is None


def test_the_first_passes_and_the_last_of_the_others_follows_at_the_end_of_the_interval() -> None:
    limiter = RateLimiter(LIMITS)
    assert [limiter.admit(event("SLOW", serial), ms(serial)) for serial in range(4)] == [
        True,
        False,
        False,
        False,
    ]
    assert limiter.next_end_ns == ms(1000)
    assert limiter.expire(ms(999)) == []
    assert limiter.expire(ms(1000)) == [event("SLOW", 3)]


def test_an_event_that_was_held_back_opens_another_interval() -> None:
    limiter = RateLimiter(LIMITS)
    limiter.admit(event("SLOW", 0), 0)
    limiter.admit(event("SLOW", 1), 1)
    limiter.expire(ms(1000))
    assert not limiter.admit(event("SLOW", 2), ms(1500))
    assert limiter.expire(ms(2000)) == [event("SLOW", 2)]


def test_an_interval_in_which_nothing_came_ends_the_limit() -> None:
    limiter = RateLimiter(LIMITS)
    limiter.admit(event("SLOW", 0), 0)
    assert limiter.expire(ms(1000)) == []
    assert limiter.next_end_ns is None
    assert limiter.admit(event("SLOW", 1), ms(1001))


def test_kinds_are_limited_each_by_itself() -> None:
    limiter = RateLimiter(LIMITS)
    assert limiter.admit(event("PER_NODE", 0, node="a"), 0)
    assert limiter.admit(event("PER_NODE", 1, node="b"), ms(100))
    assert not limiter.admit(event("PER_NODE", 2, node="b"), ms(200))
    assert not limiter.admit(event("PER_NODE", 3, node="a"), ms(300))
    assert limiter.next_end_ns == ms(500)
    assert [passed.realtime_us for passed in limiter.expire(ms(700))] == [3, 2]
