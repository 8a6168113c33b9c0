"""Follow a migration from its beginning to its end, and tell of it."""

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


class Progress:
    """The status of a migration, when that changed, and what went wrong.

    Args:
        events: Where changes are told, if somebody wants to know.
        clock: What durations are measured by.

    Attributes:
        status: Where it stands.
        error: What went wrong, or empty.
        tells: Changes are told.
        setup_ns: How long it took to get under way.
        downtime_ns: How long the machine has stood still for it.
        total_ns: How long it took.
        transferred: Bytes that were sent.
    """

    def __init__(self, events: EventBus, clock: Clock) -> None:
        self._events = events
        self._clock = clock
        self.status = Status.NONE
        self.error = ""
        self.tells = False
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
        self._began_ns = self._clock.monotonic_ns()
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
        if self.tells:
            self._events.emit("MIGRATION", {"status": status.value})

    def fail(self, message: str) -> None:
        """End without success."""
        self.error = message
        self.enter(Status.FAILING)
        self.enter(Status.FAILED)

    def shown(self) -> dict[str, object]:
        """Shape the times as members of ``MigrationInfo``, in milliseconds."""
        shown: dict[str, object] = {"status": self.status.value}
        if self.error:
            shown["error-desc"] = self.error
        if self.status is Status.COMPLETED:
            shown["total-time"] = self.total_ns // NS_PER_MS
            shown["downtime"] = self.downtime_ns // NS_PER_MS
            shown["setup-time"] = self.setup_ns // NS_PER_MS
        return shown
