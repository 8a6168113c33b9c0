"""Name the states a machine can be in, what leads from one to another, and who may have asked for its end."""

from collections.abc import Mapping
from enum import StrEnum


class RunState(StrEnum):
    """Why a machine runs or does not, by QEMU's names."""

    DEBUG = "debug"
    INMIGRATE = "inmigrate"
    INTERNAL_ERROR = "internal-error"
    IO_ERROR = "io-error"
    PAUSED = "paused"
    POSTMIGRATE = "postmigrate"
    PRELAUNCH = "prelaunch"
    FINISH_MIGRATE = "finish-migrate"
    RESTORE_VM = "restore-vm"
    RUNNING = "running"
    SAVE_VM = "save-vm"
    SHUTDOWN = "shutdown"
    SUSPENDED = "suspended"
    WATCHDOG = "watchdog"
    GUEST_PANICKED = "guest-panicked"
    COLO = "colo"


_LEADS_TO = {
    "prelaunch": "running finish-migrate inmigrate suspended",
    "debug": "running finish-migrate prelaunch",
    "inmigrate": (
        "internal-error io-error paused running shutdown suspended watchdog guest-panicked finish-migrate "
        "prelaunch postmigrate colo"
    ),
    "internal-error": "paused finish-migrate prelaunch",
    "io-error": "running finish-migrate prelaunch",
    "paused": "running finish-migrate postmigrate prelaunch colo",
    "postmigrate": "running finish-migrate prelaunch",
    "finish-migrate": (
        "running paused postmigrate prelaunch colo internal-error io-error shutdown suspended watchdog "
        "guest-panicked"
    ),
    "restore-vm": "running prelaunch suspended",
    "running": (
        "debug internal-error io-error paused finish-migrate restore-vm save-vm shutdown watchdog "
        "guest-panicked suspended colo"
    ),
    "save-vm": "running suspended",
    "shutdown": "paused finish-migrate prelaunch",
    "suspended": "running finish-migrate prelaunch colo paused save-vm restore-vm shutdown",
    "watchdog": "running finish-migrate prelaunch colo",
    "guest-panicked": "running finish-migrate prelaunch",
    "colo": "running prelaunch shutdown",
}

TRANSITIONS: Mapping[RunState, frozenset[RunState]] = {
    RunState(state): frozenset(map(RunState, others.split())) for state, others in _LEADS_TO.items()
}
"""What each state may lead to."""

NEEDS_RESET = frozenset((RunState.INTERNAL_ERROR, RunState.SHUTDOWN))
"""States out of which only a reset leads."""

OUTLASTS_RESET = frozenset((RunState.RUNNING, RunState.INMIGRATE, RunState.FINISH_MIGRATE))
"""States that a reset leaves as they are."""


class ShutdownCause(StrEnum):
    """Who asked for a shutdown or a reset."""

    NONE = "none"
    HOST_ERROR = "host-error"
    HOST_QMP_QUIT = "host-qmp-quit"
    HOST_QMP_SYSTEM_RESET = "host-qmp-system-reset"
    HOST_SIGNAL = "host-signal"
    HOST_UI = "host-ui"
    GUEST_SHUTDOWN = "guest-shutdown"
    GUEST_RESET = "guest-reset"
    GUEST_PANIC = "guest-panic"
    SUBSYSTEM_RESET = "subsystem-reset"
    SNAPSHOT_LOAD = "snapshot-load"

    @property
    def is_guest(self) -> bool:
        """Whether the guest did."""
        return self.value.startswith("guest-")
