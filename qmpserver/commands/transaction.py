"""Carry out several actions at one point in time, all of them or none."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from qmpserver import transaction as frame
from qmpserver.block.draining import run_drained
from qmpserver.block.permissions import topological
from qmpserver.commands import bitmap_actions, snapshot_actions
from qmpserver.commands.backup_actions import BackupOptions, BackupToImage, BackupToNode
from qmpserver.daemon import Daemon
from qmpserver.errors import QMPError
from qmpserver.jobs.job import Job
from qmpserver.jobs.transaction import JobTransaction
from qmpserver.transaction import TransactionAction

Arguments = dict[str, Any]
Factory = Callable[[Daemon, Arguments], TransactionAction]
JobFactory = Callable[[Daemon, Arguments, JobTransaction[Job] | None], TransactionAction]


async def transaction(
    daemon: Daemon, *, actions: list[Mapping[str, Any]], properties: Mapping[str, Any] | None = None
) -> None:
    """Carry out all actions or none."""
    mode = (properties or {}).get("completion-mode", "individual")
    async with daemon.graph.lock:
        made = _make(daemon, actions, mode)
        # What the actions look at is the same moment for all of them.
        await run_drained(topological(daemon.graph), partial(frame.run, made))


def _make(daemon: Daemon, actions: list[Mapping[str, Any]], mode: str) -> list[TransactionAction]:
    kinds = [action["type"] for action in actions]
    for kind in kinds if mode == "grouped" else ():
        if kind not in _JOBS:
            raise QMPError(
                f"Action '{kind}' does not support transaction property completion-mode = grouped"
            )
    jobs: JobTransaction[Job] | None = JobTransaction() if mode == "grouped" else None
    return [_action(daemon, action, jobs) for action in actions]


def _action(daemon: Daemon, action: Mapping[str, Any], jobs: JobTransaction[Job] | None) -> TransactionAction:
    arguments = {name.replace("-", "_"): value for name, value in action["data"].items()}
    if action["type"] in _JOBS:
        return _JOBS[action["type"]](daemon, arguments, jobs)
    return _Late(partial(_ACTIONS[action["type"]], daemon, arguments))


class _Late(TransactionAction):
    """An action that is made when its turn comes: what it names may be made by those before it."""

    def __init__(self, make: Callable[[], TransactionAction]) -> None:
        self._make = make
        self._action: TransactionAction | None = None

    async def prepare(self) -> None:
        """Make the action and prepare it."""
        self._action = self._make()
        await self._action.prepare()

    async def commit(self) -> None:
        """Make it stand."""
        if self._action is not None:
            await self._action.commit()

    async def abort(self) -> None:
        """Take it back, if it was made."""
        if self._action is not None:
            await self._action.abort()

    async def clean(self) -> None:
        """End it, if it was made."""
        if self._action is not None:
            await self._action.clean()


class _Abort(TransactionAction):
    """The action that always fails."""

    async def prepare(self) -> None:
        """Refuse."""
        raise QMPError("Transaction aborted using Abort action")


def _backup_to_node(daemon: Daemon, arguments: Arguments, jobs: JobTransaction[Job] | None) -> BackupToNode:
    target = arguments.pop("target")
    return BackupToNode(daemon, BackupOptions(**arguments), target, transaction=jobs)


def _backup_to_image(daemon: Daemon, arguments: Arguments, jobs: JobTransaction[Job] | None) -> BackupToImage:
    target, image_format = arguments.pop("target"), arguments.pop("format", None)
    mode = arguments.pop("mode", "absolute-paths")
    return BackupToImage(daemon, BackupOptions(**arguments), target, image_format, mode, transaction=jobs)


_ACTIONS: Final[dict[str, Factory]] = {
    "abort": lambda _daemon, _arguments: _Abort(),
    "block-dirty-bitmap-add": lambda daemon, given: bitmap_actions.Add(daemon, **given),
    "block-dirty-bitmap-remove": lambda daemon, given: bitmap_actions.Remove(daemon, **given),
    "block-dirty-bitmap-clear": lambda daemon, given: bitmap_actions.Clear(daemon, **given),
    "block-dirty-bitmap-enable": lambda daemon, given: bitmap_actions.Switch(daemon, **given, is_enabled=True),
    "block-dirty-bitmap-disable": lambda daemon, given: bitmap_actions.Switch(daemon, **given, is_enabled=False),
    "block-dirty-bitmap-merge": lambda daemon, given: bitmap_actions.Merge(daemon, **given),
    "blockdev-snapshot": lambda daemon, given: snapshot_actions.by_node(daemon, **given),
    "blockdev-snapshot-internal-sync": lambda daemon, given: snapshot_actions.internal(daemon, **given),
    "blockdev-snapshot-sync": lambda daemon, given: snapshot_actions.by_file(daemon, **given),
}
_JOBS: Final[dict[str, JobFactory]] = {
    "blockdev-backup": _backup_to_node,
    "drive-backup": _backup_to_image,
}
"""The actions that start jobs, which may share one fate."""
