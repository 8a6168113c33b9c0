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
Factory = Callable[[Daemon, Arguments, JobTransaction[Job] | None], TransactionAction]


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
        if kind not in WITH_JOBS:
            raise QMPError(f"Action '{kind}' does not support transaction property completion-mode = grouped")
    jobs: JobTransaction[Job] | None = JobTransaction() if mode == "grouped" else None
    return [_action(daemon, action, jobs) for action in actions]


def _action(daemon: Daemon, action: Mapping[str, Any], jobs: JobTransaction[Job] | None) -> TransactionAction:
    arguments = {name.replace("-", "_"): value for name, value in action["data"].items()}
    return _Deferred(partial(ACTIONS[action["type"]], daemon, arguments, jobs))


class _Deferred(TransactionAction):
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


def _without_job(make: Callable[..., TransactionAction]) -> Factory:
    """Make an action that starts no job, of a function that takes its arguments by name."""
    return lambda daemon, arguments, _jobs: make(daemon, **arguments)


def _abort(_daemon: Daemon) -> TransactionAction:
    return _Abort()


WITH_JOBS: Final = frozenset(("blockdev-backup", "drive-backup"))
"""The actions that start jobs, which may share one fate."""

ACTIONS: Final[dict[str, Factory]] = {
    "abort": _without_job(_abort),
    "block-dirty-bitmap-add": _without_job(bitmap_actions.add),
    "block-dirty-bitmap-remove": _without_job(bitmap_actions.remove),
    "block-dirty-bitmap-clear": _without_job(bitmap_actions.clear),
    "block-dirty-bitmap-enable": _without_job(bitmap_actions.enable),
    "block-dirty-bitmap-disable": _without_job(bitmap_actions.disable),
    "block-dirty-bitmap-merge": _without_job(bitmap_actions.merge),
    "blockdev-backup": _backup_to_node,
    "blockdev-snapshot": _without_job(snapshot_actions.by_node),
    "blockdev-snapshot-internal-sync": _without_job(snapshot_actions.internal),
    "blockdev-snapshot-sync": _without_job(snapshot_actions.by_file),
    "drive-backup": _backup_to_image,
}
"""What makes each kind of action, of its arguments and the jobs that share one fate."""
