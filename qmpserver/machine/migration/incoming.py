"""Take a machine over: wait for its state, check it, and use its images from then on."""

from collections.abc import Callable

from qmpserver.errors import QMPError, error_text
from qmpserver.jobs import machine_state
from qmpserver.log import get_logger
from qmpserver.machine import saved_state
from qmpserver.machine.migration.capabilities import Capabilities
from qmpserver.machine.migration.channel import Channel
from qmpserver.machine.migration.door import Door
from qmpserver.machine.migration.handover import Handover
from qmpserver.machine.migration.parameters import Parameters
from qmpserver.machine.migration.status import Progress, Status
from qmpserver.machine.run_states import TRANSITIONS, RunState
from qmpserver.machine.saved_state import SavedState

_log = get_logger("migration")

_ARRIVES_IN = TRANSITIONS[RunState.INMIGRATE] - {RunState.FINISH_MIGRATE, RunState.POSTMIGRATE, RunState.COLO}
"""What a machine can have been in before it was stopped to be sent."""


class Incoming:
    """A machine that is yet to come.

    Args:
        machine: What it will be.
        progress: Where it stands; it has begun.
        door: Where it comes in.
        ends_on_error: When nothing comes of it, neither does of this program.

    Attributes:
        cut: Breaks the connection that it comes by.
    """

    def __init__(self, machine: Handover, progress: Progress, door: Door, *, ends_on_error: bool) -> None:
        self._machine = machine
        self._progress = progress
        self._door = door
        self._ends_on_error = ends_on_error
        self.cut: Callable[[], None] = lambda: None

    @property
    def names(self) -> list[object]:
        """Where it is waited for, as the kernel says it."""
        return self._door.names

    async def run(self, capabilities: Capabilities, parameters: Parameters) -> None:
        """Wait for the machine and take it over; afterwards the progress says what came of it.

        Args:
            capabilities: What is on and off about it, when it comes.
            parameters: Its figures, when it comes.
        """
        try:
            saved = await self._receive()
            self._machine.check(saved, same_uuid=capabilities["validate-uuid"])
            self._machine.restore(saved, parameters.bitmap_mapping)
        except QMPError as error:
            self._fail(f"Invalid argument: {error}")
        except OSError as error:
            self._fail(error_text(error))
        else:
            await self._go_on(saved.run_state)
        finally:
            self._door.close()

    def close(self) -> None:
        """Wait no more."""
        self._door.close()

    def _fail(self, message: str) -> None:
        self._progress.error = f"load of migration failed: {message}"
        self._progress.enter(Status.FAILED)
        if self._ends_on_error:
            self._machine.give_up(self._progress.error)

    async def _receive(self) -> SavedState:
        channel = await self._door.channel()
        self.cut = channel.cut
        try:
            self._progress.enter(Status.ACTIVE)
            record = await _read_record(channel)
            saved = saved_state.from_document(machine_state.parse(record))
        finally:
            await channel.abandon()
        if saved.run_state not in _ARRIVES_IN:
            raise QMPError(f"A machine cannot come in state '{saved.run_state}'")
        return saved

    async def _go_on(self, was: RunState) -> None:
        """Go on where the other process has stopped.

        QEMU: images are not touched before the machine runs; `cont` takes them where it does not run yet.
        """
        state = self._machine.state
        if was is RunState.RUNNING and state.starts_by_itself:
            try:
                await self._machine.take_images()
                state.start()
            except QMPError as error:
                # The other process has let go of the machine, so it is here, and `cont` tries again.
                _log.error("images not taken over", reason=str(error))
                state.enter(RunState.PAUSED)
        else:
            state.enter(RunState.PAUSED if was is RunState.RUNNING else was)
        self._progress.enter(Status.COMPLETED)


async def _read_record(channel: Channel) -> bytes:
    head = await channel.receive(machine_state.HEAD_LENGTH)
    return head + await channel.receive(machine_state.length_of(head))
