"""States of a machine lead to one another as QEMU's do, and everything that happens is told once."""

from typing import Any

import pytest

from qmpserver.clock import ManualClock
from qmpserver.errors import QMPError
from qmpserver.events import EventBus
from qmpserver.machine.run_state import Actions, MachineState
from qmpserver.machine.run_states import NEEDS_RESET, TRANSITIONS, RunState, ShutdownCause


class Watched(MachineState):
    """A state that remembers what it told."""

    def __init__(self, actions: Actions | None = None) -> None:
        events = EventBus(ManualClock())
        super().__init__(events, actions)
        self.told: list[str] = []
        self.data: list[Any] = []
        self.ended: list[str] = []
        events.subscribe(lambda event: self.told.append(event.name))
        events.subscribe(lambda event: self.data.append(event.data))
        self.on_end = lambda cause: self.ended.append(cause.value)


def in_state(status: RunState, actions: Actions | None = None) -> Watched:
    state = Watched(actions)
    state.status = status
    return state


@pytest.mark.parametrize("status", RunState)
def test_every_state_leads_somewhere_and_none_but_sleep_to_itself(status: RunState) -> None:
    assert TRANSITIONS[status]
    assert status not in TRANSITIONS[status]


@pytest.mark.parametrize("status", RunState)
def test_a_state_that_does_not_lead_there_is_left_as_it_is(status: RunState) -> None:
    for other in RunState:
        state = in_state(status)
        if other is status or other in TRANSITIONS[status]:
            state.enter(other)
            assert state.status is other
        else:
            with pytest.raises(QMPError, match=f"'{status}' -> '{other}'"):
                state.enter(other)
            assert state.status is status
        assert state.told == []


def test_a_machine_begins_before_its_launch() -> None:
    state = Watched()
    assert (state.status, state.running) == (RunState.PRELAUNCH, False)
    state.stop()
    assert (state.status, state.told) == (RunState.PRELAUNCH, [])


def test_running_and_stopping_are_told_once() -> None:
    state = Watched()
    for _ in range(2):
        state.resume()
    for _ in range(2):
        state.stop()
    assert state.told == ["RESUME", "STOP"]
    assert state.status is RunState.PAUSED


def test_who_listens_hears_after_the_event() -> None:
    state = Watched()
    heard: list[str] = []
    state.on_resume.append(lambda: heard.append(state.told[-1]))
    state.on_stop.append(lambda: heard.append(state.told[-1]))
    state.resume()
    state.stop(RunState.IO_ERROR)
    assert heard == ["RESUME", "STOP"]
    assert state.status is RunState.IO_ERROR


@pytest.mark.parametrize("status", sorted(NEEDS_RESET))
def test_a_machine_that_needs_a_reset_does_not_run_before_it(status: RunState) -> None:
    state = in_state(status)
    with pytest.raises(QMPError, match="Resetting the Virtual Machine is required"):
        state.resume()
    assert state.status is status
    state.reset()
    state.resume()
    assert state.running


def test_a_machine_that_is_handed_over_does_not_run() -> None:
    state = in_state(RunState.FINISH_MIGRATE)
    with pytest.raises(QMPError, match="Migration is not finalized yet"):
        state.resume()
    assert state.status is RunState.FINISH_MIGRATE


def test_a_machine_that_is_yet_to_come_remembers_whether_it_is_to_run() -> None:
    state = in_state(RunState.INMIGRATE)
    wanted = []
    for change in (state.stop, state.resume):
        change()
        wanted.append(state.starts_by_itself)
    assert wanted == [False, True]
    assert (state.status, state.told) == (RunState.INMIGRATE, [])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (RunState.RUNNING, RunState.RUNNING),
        (RunState.INMIGRATE, RunState.INMIGRATE),
        (RunState.PAUSED, RunState.PRELAUNCH),
        (RunState.IO_ERROR, RunState.PRELAUNCH),
        (RunState.SHUTDOWN, RunState.PRELAUNCH),
    ],
)
def test_a_reset_leaves_what_runs_running(before: RunState, after: RunState) -> None:
    state = in_state(before)
    heard: list[str] = []
    state.on_reset.append(lambda: heard.append("reset"))
    state.reset()
    assert state.status is after
    assert (state.told, heard) == (["RESET"], ["reset"])
    assert state.data == [{"guest": False, "reason": "host-qmp-system-reset"}]


def test_a_reboot_may_shut_down() -> None:
    state = in_state(RunState.RUNNING, Actions(reboot="shutdown"))
    state.reset(ShutdownCause.GUEST_RESET)
    assert state.told == ["SHUTDOWN"]
    assert state.data == [{"guest": True, "reason": "guest-reset"}]
    assert state.ended == ["guest-reset"]


def test_a_shutdown_may_leave_the_program_running() -> None:
    state = in_state(RunState.RUNNING, Actions(shutdown="pause"))
    state.shut_down(ShutdownCause.GUEST_SHUTDOWN)
    assert (state.told, state.status) == (["SHUTDOWN", "STOP"], RunState.SHUTDOWN)
    assert state.ended == []


@pytest.mark.parametrize("cause", [ShutdownCause.HOST_QMP_QUIT, ShutdownCause.HOST_SIGNAL])
def test_quit_and_signals_end_the_program_all_the_same(cause: ShutdownCause) -> None:
    state = in_state(RunState.RUNNING, Actions(shutdown="pause"))
    state.shut_down(cause)
    assert (state.told, state.ended) == (["SHUTDOWN"], [cause])


def test_only_what_sleeps_is_woken() -> None:
    state = Watched()
    with pytest.raises(QMPError, match="Unable to wake up: guest is not in suspended state"):
        state.wake_up()
    state.status = RunState.SUSPENDED
    state.wake_up()
    assert (state.status, state.told) == (RunState.RUNNING, ["WAKEUP"])
    state.can_wake_up = False
    with pytest.raises(QMPError, match="wake-up from suspend is not supported by this guest"):
        state.wake_up()
