"""Follow a migration from its beginning to its end, and tell of it."""

from collections.abc import Callable
from enum import StrEnum

from qmpserver.clock import Clock
from qmpserver.events import EventBus
from qmpserver.units import NS_PER_MS


class Status(StrEnum):
    """Where a migration stands, by QEMU's names."""

    NONE = "none"
    SETUP = "setup"
    ACTIVE = "active"
    PRE_SWITCHOVER = "pre-switchover"
    DEVICE = "device"
    COMPLETED = "completed"
    FAILING = "failing"
    FAILED = "failed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


IDLE = frozenset((Status.NONE, Status.COMPLETED, Status.FAILED, Status.CANCELLED))
"""When another migration may begin."""

_MOVING = frozenset((Status.ACTIVE, Status.PRE_SWITCHOVER, Status.DEVICE, Status.FAILING))
_SHOWS_MEMORY = _MOVING | {Status.COMPLETED}


class Progress:
    """The status of a migration, when that changed, and what went wrong.

    Args:
        events: Where changes are told.
        clock: What durations are measured by.
        is_told: Says whether somebody wants to know.

    Attributes:
        status: Where it stands.
        error: What went wrong, or empty.
        setup_ns: How long it took to get under way.
        downtime_ns: How long the machine has stood still for it.
        total_ns: How long it took.
        transferred: Bytes that were sent.
    """

    def __init__(self, events: EventBus, clock: Clock, is_told: Callable[[], bool] = lambda: False) -> None:
        self._events = events
        self._clock = clock
        self._is_told = is_told
        self.status = Status.NONE
        self.error = ""
        self.setup_ns = self.downtime_ns = self.total_ns = 0
        self.transferred = 0
        self._began_ns = self._stopped_ns = 0

    @property
    def is_idle(self) -> bool:
        """Whether another migration may begin."""
        return self.status in IDLE

    def begin(self) -> None:
        """Begin anew."""
        self.error, self.transferred = "", 0
        self.setup_ns = self.downtime_ns = self.total_ns = 0
        self._began_ns, self._stopped_ns = self._clock.monotonic_ns(), 0
        self.enter(Status.SETUP)

    def enter(self, status: Status) -> None:
        """Go on to another status."""
        if status is self.status:
            return
        now_ns = self._clock.monotonic_ns()
        if status is Status.ACTIVE:
            self.setup_ns = now_ns - self._began_ns
        elif status is Status.DEVICE:
            self._stopped_ns = now_ns
        elif status is Status.COMPLETED:
            self.total_ns = now_ns - self._began_ns
            self.downtime_ns = now_ns - self._stopped_ns if self._stopped_ns else 0
        self.status = status
        if self._is_told():
            self._events.emit("MIGRATION", {"status": status.value})

    def begin_failing(self, message: str) -> None:
        """Say that there will be no success; what was done is still to be undone."""
        self.error = message
        self.enter(Status.FAILING)

    def fail(self, message: str) -> None:
        """End without success, with nothing to undo."""
        self.begin_failing(message)
        self.enter(Status.FAILED)

    def shown(self) -> dict[str, object]:
        """Shape it as members of ``MigrationInfo``, with times in milliseconds."""
        shown: dict[str, object] = {"status": self.status.value}
        if self.error:
            shown["error-desc"] = self.error
        if self.status is Status.COMPLETED:
            shown["total-time"] = self.total_ns // NS_PER_MS
            shown["downtime"] = self.downtime_ns // NS_PER_MS
            shown["setup-time"] = self.setup_ns // NS_PER_MS
        elif self.status in _MOVING:
            shown["total-time"] = (self._clock.monotonic_ns() - self._began_ns) // NS_PER_MS
            shown["setup-time"] = self.setup_ns // NS_PER_MS
            shown["expected-downtime"] = 0
        if self.status in _SHOWS_MEMORY:
            shown["ram"] = self._no_memory()
        return shown

    def _no_memory(self) -> dict[str, object]:
        """Say as ``MigrationRAMInfo`` that there was no memory to send."""
        nothing = (
            "remaining total duplicate normal normal-bytes dirty-pages-rate postcopy-requests multifd-bytes "
            "pages-per-second downtime-bytes postcopy-bytes dirty-sync-missed-zero-copy"
        )
        return {
            **dict.fromkeys(nothing.split(), 0),
            "transferred": self.transferred,
            "precopy-bytes": self.transferred,
            "mbps": 0.0,
            "dirty-sync-count": 1,
            "page-size": 4096,
        }
