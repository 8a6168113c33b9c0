"""Keep a machine's state beside the snapshots of its images, and go back to it."""

from typing import Any

from qmpserver.machine import saved_state
from qmpserver.machine.handover import MachineHandover
from qmpserver.machine.run_states import RunState


class SnapshotKeeper:
    """What jobs on snapshots ask of a machine.

    Args:
        handover: What is kept of it.
    """

    def __init__(self, handover: MachineHandover) -> None:
        self._handover = handover

    def stop_to_save(self) -> dict[str, Any]:
        """Stop the machine, and return what is to be kept of it."""
        was = self._handover.state.status
        self._stop(RunState.SAVE_VM)
        return self._handover.capture(was).to_document()

    def stop_to_load(self) -> None:
        """Stop the machine, because its images go back."""
        self._stop(RunState.RESTORE_VM)

    def _stop(self, status: RunState) -> None:
        if self._handover.state.running:
            self._handover.state.stop(status)

    def check(self, document: dict[str, Any]) -> None:
        """See whether what was kept is of such a machine.

        Raises:
            QMPError: It is not.
        """
        self._handover.check(saved_state.from_document(document), same_uuid=False)

    def restore(self, document: dict[str, Any]) -> None:
        """Have the state that was kept, and checked."""
        self._handover.restore(saved_state.from_document(document))

    def go_on(self) -> None:
        """Let the machine go on, if it ran before and nobody has decided otherwise since."""
        if self._handover.state.status in (RunState.SAVE_VM, RunState.RESTORE_VM):
            self._handover.state.start()
