"""Carry out several actions so that either all of them happen or none."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from qmpserver.errors import QMPError
from qmpserver.log import get_logger

_log = get_logger("transaction")


class TransactionAction(ABC):
    """One action, in steps: what can fail comes first, and can be taken back.

    All steps but the first may have nothing to do.
    """

    @abstractmethod
    async def prepare(self) -> None:
        """Do all that can fail.

        Raises:
            QMPError: It cannot be done; nothing has changed.
        """

    async def commit(self) -> None:
        """Make it stand, once every action of the transaction is prepared."""
        return

    async def abort(self) -> None:
        """Take back what was prepared, because a later action failed; also called where `prepare` itself did."""
        return

    async def clean(self) -> None:
        """End it, after either of the former."""
        return


async def run(actions: Sequence[TransactionAction]) -> None:
    """Prepare all actions in order, and then commit them, or take back those that were prepared.

    QEMU: the last to be prepared is the first to be committed, aborted and cleaned.

    Raises:
        QMPError: An action refused; none has any effect.
    """
    begun: list[TransactionAction] = []
    try:
        for action in actions:
            begun.insert(0, action)
            await action.prepare()
    except BaseException:
        for action in begun:
            await _take_back(action)
        raise
    else:
        for action in begun:
            await action.commit()
    finally:
        for action in begun:
            await action.clean()


async def _take_back(action: TransactionAction) -> None:
    """Abort an action; whether it can be undone or not, the others are undone as well."""
    try:
        await action.abort()
    except (OSError, QMPError) as error:
        _log.error("action not taken back", action=type(action).__name__, error=str(error))
