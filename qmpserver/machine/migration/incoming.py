"""Take a machine over: wait for its state, check it, and use its images from then on."""

from contextlib import suppress
from typing import Any

from qmpserver.errors import QMPError, error_text
from qmpserver.jobs import machine_state
from qmpserver.machine.migration.channel import Channel, Door
from qmpserver.machine.migration.handover import Handover
from qmpserver.machine.migration.status import Progress, Status
from qmpserver.machine.run_states import RunState


class Incoming:
    """A machine that is yet to come.

    Args:
        machine: What it will be.
        progress: Where it stands; it has begun.
        door: Where it comes in.
        ends_on_error: When nothing comes of it, neither does of this program.
    """

    def __init__(self, machine: Handover, progress: Progress, door: Door, *, ends_on_error: bool) -> None:
        self._machine = machine
        self._progress = progress
        self._door = door
        self._ends_on_error = ends_on_error

    @property
    def names(self) -> list[object]:
        """Where it is waited for, as the kernel says it."""
        return self._door.names

    async def run(self) -> None:
        """Wait for the machine and take it over; afterwards the progress says what came of it."""
        try:
            channel = await self._door.channel()
            self._progress.enter(Status.ACTIVE)
            try:
                saved = await self._receive(channel)
            finally:
                with suppress(OSError):
                    await channel.close()
            self._machine.check_saved_state(saved)
            await self._take_over(saved)
        except (QMPError, OSError) as error:
            message = str(error) if isinstance(error, QMPError) else error_text(error)
            self._progress.fail(message)
            if self._ends_on_error:
                self._machine.give_up(f"load of migration failed: {message}")
        finally:
            self._door.close()

    async def _receive(self, channel: Channel) -> dict[str, Any]:
        head = await channel.receive(machine_state.HEAD_LENGTH)
        body = await channel.receive(machine_state.length_of(head))
        return machine_state.parse(head + body)

    async def _take_over(self, saved: dict[str, Any]) -> None:
        """Go on where the other process has stopped.

        QEMU: images are not touched before the machine runs; `cont` takes them where it does not run yet.
        """
        state = self._machine.state
        was = RunState(saved["run-state"])
        if was is RunState.RUNNING and state.starts_by_itself:
            await self._machine.take_images()
            self._machine.restore_state(saved)
            state.start()
        else:
            self._machine.restore_state(saved)
            state.enter(RunState.PAUSED if was is RunState.RUNNING else was)
        self._progress.enter(Status.COMPLETED)
