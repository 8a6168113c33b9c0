"""Parts of the program are told to log in detail while it runs."""

from collections.abc import Iterator

import pytest

from qmpserver import log
from qmpserver.clock import ManualClock
from qmpserver.commands.machine.trace import trace_event_get_state, trace_event_set_state
from qmpserver.errors import QMPError
from qmpserver.machine.machine import Machine
from qmpserver.schema.loader import load

MACHINE = Machine(load(with_machine=True), ManualClock())


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = log.detailed()
    yield
    log.set_detailed(before)


@pytest.mark.parametrize("name", ["nbd", "nbd_*", "nbd_receive_negotiate"])
def test_a_part_is_known_by_its_name_and_by_qemus(name: str) -> None:
    assert trace_event_get_state(MACHINE, name=name) == [{"name": "nbd", "state": "disabled"}]


def test_what_is_switched_on_logs_in_detail_until_it_is_switched_off() -> None:
    trace_event_set_state(MACHINE, name="nbd*", enable=True)
    assert log.get_logger("nbd").is_on("debug")
    assert not log.get_logger("block").is_on("debug")
    assert trace_event_get_state(MACHINE, name="nbd") == [{"name": "nbd", "state": "enabled"}]
    trace_event_set_state(MACHINE, name="*", enable=False)
    assert not log.get_logger("nbd").is_on("debug")


def test_a_pattern_may_fit_nothing_and_a_name_has_to_fit() -> None:
    assert trace_event_get_state(MACHINE, name="no*") == []
    with pytest.raises(QMPError, match='unknown event "nothing"'):
        trace_event_set_state(MACHINE, name="nothing", enable=True)
