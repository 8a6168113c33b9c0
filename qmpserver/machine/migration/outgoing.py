"""Hand the machine over: stop it, leave its images alone, and send what else there is to know."""

import asyncio
from contextlib import suppress

from qmpserver.errors import QMPError, error_text
from qmpserver.jobs import machine_state
from qmpserver.machine.migration.address import MigrationAddress
from qmpserver.machine.migration.channel import Channel, ClaimFd, open_outgoing
from qmpserver.machine.migration.handover import Handover
from qmpserver.machine.migration.status import Progress, Status
from qmpserver.machine.run_states import RunState


class Outgoing:
    """One machine on its way elsewhere.

    Args:
        machine: The machine.
        progress: Where it stands; it has begun.
        pauses: It waits before the images change hands, until it is told to go on.
    """

    def __init__(self, machine: Handover, progress: Progress, *, pauses: bool) -> None:
        self._machine = machine
        self._progress = progress
        self._pauses = pauses
        self._go_on = asyncio.Event()
        self._was = machine.state.status
        self._has_images = True

    def go_on(self) -> None:
        """Let the images change hands."""
        self._go_on.set()

    async def run(self, address: MigrationAddress, claim_fd: ClaimFd, channel: Channel | None = None) -> None:
        """Hand the machine over; afterwards the progress says what came of it.

        Args:
            address: Where it goes.
            claim_fd: Hands over descriptors.
            channel: The way there, if it is open already; it is closed in the end.
        """
        try:
            channel = channel or await open_outgoing(address, claim_fd)
            try:
                await self._hand_over(channel)
            except BaseException:
                with suppress(OSError):
                    await channel.close()
                raise
        except (QMPError, OSError) as error:
            await self._take_back()
            self._progress.fail(str(error) if isinstance(error, QMPError) else error_text(error))
        except asyncio.CancelledError:
            await self._take_back()
            self._progress.enter(Status.CANCELLED)

    async def _hand_over(self, channel: Channel) -> None:
        machine, progress = self._machine, self._progress
        progress.enter(Status.ACTIVE)
        saved = machine.saved_state()
        if machine.state.running:
            machine.state.stop(RunState.FINISH_MIGRATE)
        else:
            machine.state.enter(RunState.FINISH_MIGRATE)
        if self._pauses:
            progress.enter(Status.PRE_SWITCHOVER)
            await self._go_on.wait()
        progress.enter(Status.DEVICE)
        await machine.release_images()
        self._has_images = False
        record = machine_state.pack(saved)
        await channel.send(record)
        await channel.close()
        progress.transferred = len(record)
        # Nothing waits from here on: the other side has it all.
        machine.state.enter(RunState.POSTMIGRATE)
        progress.enter(Status.COMPLETED)

    async def _take_back(self) -> None:
        """Go on as if nothing had been."""
        state = self._machine.state
        if not self._has_images:
            await self._machine.take_images()
            self._has_images = True
        if state.status is RunState.FINISH_MIGRATE:
            if self._was is RunState.RUNNING:
                state.start()
            else:
                state.enter(self._was)
