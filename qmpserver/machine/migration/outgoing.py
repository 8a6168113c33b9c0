"""Hand the machine over: stop it, leave its images alone, and send what else there is to know."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from qmpserver.errors import QMPError, error_text
from qmpserver.jobs import machine_state
from qmpserver.log import get_logger
from qmpserver.machine.migration.address import MigrationAddress
from qmpserver.machine.migration.channel import Channel, ClaimFd, open_outgoing
from qmpserver.machine.migration.handover import Handover
from qmpserver.machine.migration.status import Progress, Status
from qmpserver.machine.run_states import RunState
from qmpserver.machine.saved_state import Mapped

_log = get_logger("migration")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Manner:
    """How a machine is handed over.

    Attributes:
        pauses: It waits before the images change hands, until it is told to go on.
        takes_bitmaps: Dirty bitmaps go along.
        mapping: Which ones, or None for all.
    """

    pauses: bool = False
    takes_bitmaps: bool = False
    mapping: Mapped | None = None


class _CalledOff(Exception):
    """Say that nothing more is to be done."""


class Outgoing:
    """One machine on its way elsewhere.

    What changes the graph is never cut short: only waiting is.

    Args:
        machine: The machine.
        progress: Where it stands; it has begun.
        manner: How it goes.

    Attributes:
        cut: Breaks the connection that it goes by.
    """

    def __init__(self, machine: Handover, progress: Progress, manner: Manner) -> None:
        self._machine = machine
        self._progress = progress
        self._manner = manner
        self._go_on = asyncio.Event()
        self._was = machine.state.status
        self._is_called_off = False
        self._ends_for_good = False
        self._waiting: asyncio.Task[Any] | None = None
        self._is_sending = False
        self.cut: Callable[[], None] = lambda: None

    def go_on(self) -> None:
        """Let the images change hands."""
        self._go_on.set()

    def call_off(self, *, for_good: bool = False) -> None:
        """Do not hand the machine over; too late, and so without effect, when all of it has been sent.

        Args:
            for_good: The machine ends with that, so it need not run again.
        """
        is_sent = self._is_sending and self._waiting is not None and self._waiting.done()
        if self._is_called_off or is_sent:
            return
        self._is_called_off, self._ends_for_good = True, for_good
        self._progress.enter(Status.CANCELLING)
        if self._waiting is not None:
            self._waiting.cancel()

    async def run(self, address: MigrationAddress, claim_fd: ClaimFd, channel: Channel | None = None) -> None:
        """Hand the machine over; afterwards the progress says what came of it.

        Args:
            address: Where it goes.
            claim_fd: Hands over descriptors.
            channel: The way there, if it is open already; it is closed in the end.
        """
        try:
            way = channel
            if way is None:
                way = await self._wait(open_outgoing(address, claim_fd))
            self.cut = way.cut
            try:
                await self._hand_over(way)
            finally:
                await way.abandon()
        except (QMPError, OSError) as error:
            self._progress.begin_failing(str(error) if isinstance(error, QMPError) else error_text(error))
            await self._take_back()
            self._progress.enter(Status.FAILED)
        except _CalledOff:
            await self._take_back()
            self._progress.enter(Status.CANCELLED)

    async def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Do what may take any time, unless the whole is called off."""
        if self._is_called_off:
            work.close()
            raise _CalledOff
        task = asyncio.get_running_loop().create_task(work)
        self._waiting = task
        try:
            return await task
        except asyncio.CancelledError:
            raise _CalledOff from None

    async def _hand_over(self, channel: Channel) -> None:
        machine, progress = self._machine, self._progress
        progress.enter(Status.ACTIVE)
        if self._manner.takes_bitmaps:
            machine.claim_bitmaps(self._manner.mapping)
        self._stop()
        if self._manner.pauses:
            progress.enter(Status.PRE_SWITCHOVER)
            await self._wait(self._told_to_go_on())
        progress.enter(Status.DEVICE)
        record = machine_state.pack((await machine.release(self._was)).to_document())
        self._is_sending = True
        await self._wait(_send(channel, record))
        # Nothing waits from here on: the other side has it all.
        progress.transferred = len(record)
        machine.finish()
        machine.state.enter(RunState.POSTMIGRATE)
        progress.enter(Status.COMPLETED)

    async def _told_to_go_on(self) -> None:
        try:
            await self._go_on.wait()
        except asyncio.CancelledError:
            self._progress.error = "Switchover is interrupted"
            raise

    def _stop(self) -> None:
        state = self._machine.state
        # It may have been stopped, or have begun to run, since.
        self._was = state.status
        if state.running:
            state.stop(RunState.FINISH_MIGRATE)
        else:
            state.enter(RunState.FINISH_MIGRATE)

    async def _take_back(self) -> None:
        """Go on as if nothing had been; without its images the machine stays as one that has gone."""
        state = self._machine.state
        if self._ends_for_good:
            return
        try:
            await self._machine.take_back()
        except QMPError as error:
            _log.error("images not taken back", reason=str(error))
            if state.status is RunState.FINISH_MIGRATE:
                state.enter(RunState.POSTMIGRATE)
            return
        if state.status is not RunState.FINISH_MIGRATE:
            return
        if self._was is RunState.RUNNING:
            state.start()
        else:
            state.enter(self._was)


async def _send(channel: Channel, record: bytes) -> None:
    await channel.send(record)
    await channel.close()
