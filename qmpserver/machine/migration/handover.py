"""Say what migration needs of the machine that is handed over."""

from typing import Protocol

from qmpserver.machine.run_state import MachineState
from qmpserver.machine.run_states import RunState
from qmpserver.machine.saved_state import Mapped, SavedState


class Handover(Protocol):
    """A machine, as migration sees it.

    Attributes:
        state: Whether it runs.
    """

    state: MachineState

    def claim_bitmaps(self, mapping: Mapped | None) -> None:
        """Keep the bitmaps that are to go along from being used otherwise.

        Raises:
            QMPError: One cannot go; none is kept.
        """

    async def release(self, run_state: RunState) -> SavedState:
        """Leave all images to another process, and return what it has to know; `take_back` or `finish` comes next.

        Raises:
            QMPError: An image is in use; some may be left already.
        """

    async def take_back(self) -> None:
        """Use the images and bitmaps again, whatever had become of them.

        Raises:
            QMPError: Another process has an image.
        """

    def finish(self) -> None:
        """Let go of the bitmaps that went along."""

    def check(self, saved: SavedState, *, same_uuid: bool) -> None:
        """See whether a state is one of such a machine as this one.

        Raises:
            QMPError: It is not.
        """

    def restore(self, saved: SavedState, mapping: Mapped | None = None) -> None:
        """Take over a state that was checked.

        Raises:
            QMPError: A bitmap is no good; nothing has changed.
        """

    async def take_images(self) -> None:
        """Use all images.

        Raises:
            QMPError: One cannot be had.
        """

    def give_up(self, message: str) -> None:
        """Say that nothing can come of this machine."""
