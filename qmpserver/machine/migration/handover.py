"""Say what migration needs of the machine that is handed over."""

from typing import Any, Protocol

from qmpserver.machine.run_state import MachineState


class Handover(Protocol):
    """A machine, as migration sees it.

    Attributes:
        state: Whether it runs.
    """

    state: MachineState

    def saved_state(self) -> dict[str, Any]:
        """Return what has to be known elsewhere to go on there."""

    def check_saved_state(self, saved: dict[str, Any]) -> None:
        """See whether a state is one of such a machine as this one.

        Raises:
            QMPError: It is not.
        """

    def restore_state(self, saved: dict[str, Any]) -> None:
        """Take over a state that was checked."""

    async def release_images(self) -> None:
        """Leave all images to another process.

        Raises:
            QMPError: One is in use; all are as before.
        """

    async def take_images(self) -> None:
        """Use all images.

        Raises:
            QMPError: One cannot be had.
        """

    def give_up(self, message: str) -> None:
        """End the program, because nothing can come of this machine."""
