"""Events on their way to listeners."""

from qmpserver.clock import ManualClock
from qmpserver.events import Event, EventBus


def test_every_listener_hears_every_event_in_order() -> None:
    bus = EventBus(ManualClock(realtime_us=5))
    first: list[Event] = []
    second: list[Event] = []
    bus.subscribe(first.append)
    bus.subscribe(second.append)
    bus.emit("A", {"n": 1})
    bus.emit("B")
    assert first == second == [Event("A", {"n": 1}, 5, 1), Event("B", None, 5, 2)]


def test_a_listener_that_has_left_hears_nothing_more_even_if_it_leaves_while_listening() -> None:
    bus = EventBus(ManualClock())
    heard: list[str] = []

    def listen_once(event: Event) -> None:
        heard.append(event.name)
        leave()

    leave = bus.subscribe(listen_once)
    others: list[Event] = []
    bus.subscribe(others.append)
    bus.emit("A")
    bus.emit("B")
    assert heard == ["A"]
    assert [event.name for event in others] == ["A", "B"]


def test_an_event_on_the_wire_has_its_time_in_two_parts_and_data_only_if_there_is_any() -> None:
    assert Event("A", None, 3_000_004).to_wire() == {
        "timestamp": {"seconds": 3, "microseconds": 4},
        "event": "A",
    }
    assert Event("A", {}, 0).to_wire()["data"] == {}
