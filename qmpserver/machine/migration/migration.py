"""Hold what there is to migration, and begin it."""

import asyncio
from contextlib import suppress
from typing import Any

from qmpserver import tasks
from qmpserver.clock import Clock
from qmpserver.errors import QMPError
from qmpserver.events import EventBus
from qmpserver.machine.migration.address import MigrationAddress
from qmpserver.machine.migration.capabilities import Capabilities
from qmpserver.machine.migration.channel import ClaimFd, Door, open_outgoing, waits_for_nobody
from qmpserver.machine.migration.handover import Handover
from qmpserver.machine.migration.incoming import Incoming
from qmpserver.machine.migration.outgoing import Outgoing
from qmpserver.machine.migration.parameters import Parameters
from qmpserver.machine.migration.status import Progress, Status
from qmpserver.machine.run_states import RunState


class Migration:
    """How a machine is handed to another process, or comes from one.

    Args:
        machine: The machine.
        events: Where changes are told.
        clock: What durations are measured by.

    Attributes:
        capabilities: What is on and off about it.
        parameters: Its figures.
        progress: Where the latest one stands.
    """

    def __init__(self, machine: Handover, events: EventBus, clock: Clock) -> None:
        self._machine = machine
        self.capabilities = Capabilities()
        self.parameters = Parameters()
        self.progress = Progress(events, clock)
        self._outgoing: Outgoing | None = None
        self._incoming: Incoming | None = None
        self._running: set[asyncio.Task[Any]] = set()

    @property
    def is_under_way(self) -> bool:
        """Whether the machine is being handed over, or comes in."""
        return not self.progress.is_idle

    async def migrate(self, address: MigrationAddress, claim_fd: ClaimFd) -> None:
        """Begin to hand the machine over.

        Args:
            address: Where to.
            claim_fd: Hands over the descriptor of a name.

        Raises:
            QMPError: That cannot be now, or not there; the machine goes on as it is.
        """
        if self._machine.state.status is RunState.INMIGRATE:
            raise QMPError("Guest is waiting for an incoming migration")
        if self._machine.state.status is RunState.POSTMIGRATE:
            raise QMPError("Can't migrate the vm that was paused due to previous migration")
        if not self.progress.is_idle:
            raise QMPError("There's a migration process in progress")
        self._begin()
        channel = None
        if waits_for_nobody(address):
            try:
                channel = await open_outgoing(address, claim_fd)
            except QMPError as error:
                self.progress.fail(str(error))
                raise
        pauses = self.capabilities["pause-before-switchover"]
        self._outgoing = Outgoing(self._machine, self.progress, pauses=pauses)
        tasks.spawn(self._running, self._outgoing.run(address, claim_fd, channel))

    def go_on(self, status: str) -> None:
        """Go on with a migration that has paused.

        Raises:
            QMPError: It has not, or stands elsewhere than was said.
        """
        if self.progress.status.value != status:
            raise QMPError(f"Migration not in expected state: {self.progress.status.value}")
        if self.progress.status is Status.PRE_SWITCHOVER and self._outgoing is not None:
            self._outgoing.go_on()

    def cancel(self) -> None:
        """Call off what is under way; harmless when nothing is."""
        if self.progress.is_idle or self._outgoing is None:
            return
        self.progress.enter(Status.CANCELLING)
        for task in self._running:
            task.cancel()

    def receive(self, address: MigrationAddress, claim_fd: ClaimFd, *, ends_on_error: bool = True) -> None:
        """Begin to wait for a machine.

        Args:
            address: Where it comes in.
            claim_fd: Hands over the descriptor of a name.
            ends_on_error: When nothing comes of it, neither does of this program.

        Raises:
            QMPError: It is not waited for, or cannot come in there.
        """
        if self._incoming is not None:
            raise QMPError("The incoming migration has already been started")
        if self._machine.state.status is not RunState.INMIGRATE:
            raise QMPError("'-incoming' was not specified on the command line")
        door = Door(address, claim_fd)
        self._incoming = Incoming(self._machine, self.progress, door, ends_on_error=ends_on_error)
        self._begin()
        tasks.spawn(self._running, self._incoming.run())

    def _begin(self) -> None:
        self.progress.tells = self.capabilities["events"]
        self.progress.begin()

    def shown(self) -> dict[str, Any]:
        """Shape it as ``MigrationInfo``; empty when there has been none."""
        if self.progress.status is Status.NONE:
            return {}
        if self._incoming is not None and self._outgoing is None:
            shown: dict[str, Any] = {"status": self.progress.status.value}
            if self.progress.error:
                shown["error-desc"] = self.progress.error
            if self._incoming.names:
                shown["socket-address"] = [_address_to_wire(name) for name in self._incoming.names]
            return shown
        return {**self.progress.shown(), "ram": _no_memory(self.progress.transferred)}

    async def close(self) -> None:
        """Call off what is under way and wait for its end."""
        for task in tuple(self._running):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def _no_memory(transferred: int) -> dict[str, Any]:
    """Say as ``MigrationRAMInfo`` that there was no memory to send."""
    nothing = (
        "remaining total duplicate normal normal-bytes dirty-pages-rate postcopy-requests multifd-bytes "
        "pages-per-second downtime-bytes postcopy-bytes dirty-sync-missed-zero-copy"
    )
    return {
        **dict.fromkeys(nothing.split(), 0),
        "transferred": transferred,
        "precopy-bytes": transferred,
        "mbps": 0.0,
        "dirty-sync-count": 1,
        "page-size": 4096,
    }


def _address_to_wire(name: object) -> dict[str, Any]:
    if isinstance(name, tuple):
        return {"type": "inet", "host": name[0], "port": str(name[1])}
    return {"type": "unix", "path": str(name)}
