"""Hold what there is to migration, and begin it."""

import asyncio
from contextlib import suppress
from typing import Any

from qmpserver import tasks
from qmpserver.clock import Clock
from qmpserver.errors import QMPError, error_text
from qmpserver.events import EventBus
from qmpserver.machine.migration.address import MigrationAddress
from qmpserver.machine.migration.capabilities import Capabilities
from qmpserver.machine.migration.channel import ClaimFd, open_outgoing, waits_for_nobody
from qmpserver.machine.migration.door import Door
from qmpserver.machine.migration.handover import Handover
from qmpserver.machine.migration.incoming import Incoming
from qmpserver.machine.migration.outgoing import Manner, Outgoing
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
        self.progress = Progress(events, clock, lambda: self.capabilities["events"])
        self._outgoing: Outgoing | None = None
        self._incoming: Incoming | None = None
        self._running: set[asyncio.Task[Any]] = set()

    @property
    def is_leaving(self) -> bool:
        """Whether the machine is being handed over."""
        return not self.progress.is_idle and self._machine.state.status is not RunState.INMIGRATE

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
        self.check_idle()
        self.progress.begin()
        channel = None
        if waits_for_nobody(address):
            try:
                channel = await open_outgoing(address, claim_fd)
            except QMPError as error:
                self.progress.fail(str(error))
                raise
            except OSError as error:
                self.progress.fail(error_text(error))
                raise QMPError(self.progress.error) from error
        self._outgoing = Outgoing(self._machine, self.progress, self._manner())
        tasks.spawn(self._running, self._outgoing.run(address, claim_fd, channel))

    def _manner(self) -> Manner:
        return Manner(
            pauses=self.capabilities["pause-before-switchover"],
            takes_bitmaps=self.capabilities["dirty-bitmaps"],
            mapping=self.parameters.bitmap_mapping,
        )

    def check_idle(self) -> None:
        """Refuse what cannot be while the machine is handed over.

        Raises:
            QMPError: With QEMU's text.
        """
        if self.is_leaving:
            raise QMPError("There's a migration process in progress")

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
        if self._outgoing is not None and not self.progress.is_idle:
            self._outgoing.call_off()

    def cut(self) -> None:
        """Break the connection of what is under way, which then fails where it needs that again."""
        for way in (self._outgoing, self._incoming):
            if way is not None and not self.progress.is_idle:
                way.cut()

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
        self.progress.begin()
        tasks.spawn(self._running, self._incoming.run(self.capabilities, self.parameters))

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
        return self.progress.shown()

    async def close(self) -> None:
        """Call off what is under way, at the machine's end, and wait for it."""
        if self._outgoing is not None and not self.progress.is_idle:
            self._outgoing.call_off(for_good=True)
            await asyncio.gather(*self._running)
        for task in tuple(self._running):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if self._incoming is not None:
            # A task that was never begun has closed nothing.
            self._incoming.close()


def _address_to_wire(name: object) -> dict[str, Any]:
    if isinstance(name, tuple):
        return {"type": "inet", "host": name[0], "port": str(name[1])}
    return {"type": "unix", "path": str(name)}
