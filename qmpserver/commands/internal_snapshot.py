"""Keep states of disks, and of a machine, inside images, and go back to them."""

from typing import Any

from qmpserver.block import internal_snapshots
from qmpserver.block.info import snapshot_info
from qmpserver.commands import snapshot_actions
from qmpserver.daemon import Daemon
from qmpserver.jobs.snapshots import SnapshotDeleteJob, SnapshotLoadJob, SnapshotSaveJob


async def blockdev_snapshot_internal_sync(daemon: Daemon, *, device: str, name: str) -> None:
    """Take a snapshot inside an image."""
    async with daemon.graph.lock:
        await snapshot_actions.internal(daemon, device=device, name=name).prepare()


async def blockdev_snapshot_delete_internal_sync(
    daemon: Daemon,
    *,
    device: str,
    id: str | None = None,  # noqa: A002 - the wire's name
    name: str | None = None,
) -> dict[str, Any]:
    """Delete a snapshot inside an image."""
    async with daemon.graph.lock:
        return snapshot_info(
            await internal_snapshots.delete(snapshot_actions.find_root(daemon, device), device, id, name)
        )


async def snapshot_save(daemon: Daemon, *, job_id: str, tag: str, vmstate: str, devices: list[str]) -> None:
    """Start a job that takes a snapshot of several images."""
    await daemon.jobs.launch(
        SnapshotSaveJob(
            daemon.jobs,
            job_id,
            daemon.graph,
            tag=tag,
            devices=devices,
            vmstate=vmstate,
            keeper=daemon.state_keeper,
        )
    )


async def snapshot_load(daemon: Daemon, *, job_id: str, tag: str, vmstate: str, devices: list[str]) -> None:
    """Start a job that takes several images back to a snapshot."""
    await daemon.jobs.launch(
        SnapshotLoadJob(
            daemon.jobs,
            job_id,
            daemon.graph,
            tag=tag,
            devices=devices,
            vmstate=vmstate,
            keeper=daemon.state_keeper,
        )
    )


async def snapshot_delete(daemon: Daemon, *, job_id: str, tag: str, devices: list[str]) -> None:
    """Start a job that deletes a snapshot of several images."""
    await daemon.jobs.launch(SnapshotDeleteJob(daemon.jobs, job_id, daemon.graph, tag=tag, devices=devices))
