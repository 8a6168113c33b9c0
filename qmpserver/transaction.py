"""Carry out several actions so that either all of them happen or none."""

from collections.abc import Sequence
from typing import Protocol


class TransactionAction(Protocol):
    """One action, in steps: what can fail comes first, and can be taken back.

    Each step but the first does nothing unless an action says otherwise.
    """

    async def prepare(self) -> None:
        """Do all that can fail.

        Raises:
            QMPError: It cannot be done; nothing has changed.
        """

    async def commit(self) -> None:
        """Make it stand, once every action of the transaction is prepared."""

    async def abort(self) -> None:
        """Take back what was prepared, because a later action failed; also called where `prepare` itself did."""

    async def clean(self) -> None:
        """End it, after either of the former."""


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
            await action.abort()
        raise
    else:
        for action in begun:
            await action.commit()
    finally:
        for action in begun:
            await action.clean()
