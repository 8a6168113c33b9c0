"""Know whether a machine runs, and why not; and tell it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from qmpserver.errors import QMPError
from qmpserver.events import EventBus
from qmpserver.machine.run_states import NEEDS_RESET, OUTLASTS_RESET, TRANSITIONS, RunState, ShutdownCause

_ENDS_FOR_SURE = frozenset((ShutdownCause.HOST_QMP_QUIT, ShutdownCause.HOST_SIGNAL))
"""Causes that end the program whatever a shutdown is to do otherwise."""


@dataclass(frozen=True, slots=True)
class Actions:
    """What follows on what a guest may do, each by QEMU's word.

    Attributes:
        reboot: `reset` or `shutdown`.
        shutdown: `poweroff` or `pause`.
        panic: `pause`, `shutdown`, `exit-failure` or `none`.
        watchdog: `reset`, `shutdown`, `poweroff`, `pause`, `debug`, `none` or `inject-nmi`.
    """

    reboot: str = "reset"
    shutdown: str = "poweroff"
    panic: str = "shutdown"
    watchdog: str = "reset"


Listener = Callable[[], object]


class MachineState:
    """The run state of a machine.

    Args:
        events: Where changes are told.
        actions: What follows on a reboot, a shutdown and so on.

    Attributes:
        status: Why it runs, or does not.
        actions: As given, until they are changed.
        can_wake_up: Its board knows how to sleep and be woken.
        starts_by_itself: It runs as soon as it has come from where it was migrated.
        on_resume: Called when it begins to run.
        on_stop: Called when it no longer runs.
        on_reset: Called when it is reset.
        on_end: Called when the program is to end.
    """

    def __init__(self, events: EventBus, actions: Actions | None = None) -> None:
        self._events = events
        self.status = RunState.PRELAUNCH
        self.actions = actions or Actions()
        self.can_wake_up = True
        self.starts_by_itself = True
        self.on_resume: list[Listener] = []
        self.on_stop: list[Listener] = []
        self.on_reset: list[Listener] = []
        self.on_end: Callable[[ShutdownCause], object] = lambda _cause: None

    @property
    def running(self) -> bool:
        """Whether the machine runs."""
        return self.status is RunState.RUNNING

    def enter(self, status: RunState) -> None:
        """Go into a state without telling anybody.

        Raises:
            QMPError: The present state does not lead there; nothing has changed.
        """
        if status is self.status:
            return
        if status not in TRANSITIONS[self.status]:
            raise QMPError(f"invalid runstate transition: '{self.status}' -> '{status}'")
        self.status = status

    # Running

    def check_may_run(self) -> None:
        """See whether `resume` can be asked for.

        Raises:
            QMPError: The machine has to be reset first, or is being handed over.
        """
        if self.status in NEEDS_RESET:
            raise QMPError("Resetting the Virtual Machine is required")
        if self.status is RunState.FINISH_MIGRATE:
            raise QMPError("Migration is not finalized yet")

    def resume(self) -> None:
        """Let the machine run; one that is yet to come does so when it is there.

        Raises:
            QMPError: It cannot in its state.
        """
        self.check_may_run()
        if self.status is RunState.INMIGRATE:
            self.starts_by_itself = True
        elif not self.running:
            self.start()

    def start(self) -> None:
        """Run, from whatever state leads there."""
        self.enter(RunState.RUNNING)
        self._events.emit("RESUME")
        _call(self.on_resume)

    def stop(self, status: RunState = RunState.PAUSED) -> None:
        """Stop a machine that runs; one that does not stays as it is.

        Args:
            status: Why.
        """
        if self.status is RunState.INMIGRATE:
            self.starts_by_itself = False
        if not self.running:
            return
        self.enter(status)
        self._events.emit("STOP")
        _call(self.on_stop)

    # What a user does to a machine

    def reset(self, cause: ShutdownCause = ShutdownCause.HOST_QMP_SYSTEM_RESET) -> None:
        """Begin anew, or shut down where that is what a reboot does."""
        if self.actions.reboot == "shutdown":
            self.shut_down(cause)
            return
        _call(self.on_reset)
        self._tell("RESET", cause)
        if self.status not in OUTLASTS_RESET:
            self.enter(RunState.PRELAUNCH)

    def shut_down(self, cause: ShutdownCause) -> None:
        """End the program, or stay without running where that is what a shutdown does."""
        if cause in _ENDS_FOR_SURE:
            self.actions = replace(self.actions, shutdown="poweroff")
        self._tell("SHUTDOWN", cause)
        if self.actions.shutdown == "pause":
            self.stop(RunState.SHUTDOWN)
        else:
            self.on_end(cause)

    def power_down(self) -> None:
        """Press the power button."""
        self._events.emit("POWERDOWN")

    def wake_up(self) -> None:
        """Wake a machine that sleeps.

        Raises:
            QMPError: It cannot sleep, or does not.
        """
        if not self.can_wake_up:
            raise QMPError("wake-up from suspend is not supported by this guest")
        if self.status is not RunState.SUSPENDED:
            raise QMPError("Unable to wake up: guest is not in suspended state")
        self.enter(RunState.RUNNING)
        self._events.emit("WAKEUP")

    def _tell(self, event: str, cause: ShutdownCause) -> None:
        self._events.emit(event, {"guest": cause.is_guest, "reason": cause.value})


def _call(listeners: list[Listener]) -> None:
    for listener in tuple(listeners):
        listener()
