"""Keep states of disks, and of a machine, inside images, and go back to them."""

from typing import Any

from qmpserver.block import backing_name, internal_snapshots
from qmpserver.block.info import snapshot_info
from qmpserver.block.internal_snapshots import InternalSnapshot
from qmpserver.block.node import Node
from qmpserver.daemon import Daemon
from qmpserver.errors import QMPError
from qmpserver.jobs.snapshots import SnapshotDeleteJob, SnapshotLoadJob, SnapshotSaveJob


async def blockdev_snapshot_internal_sync(daemon: Daemon, *, device: str, name: str) -> None:
    """Take a snapshot inside an image."""
    async with daemon.graph.lock:
        await InternalSnapshot(_root(daemon, device), name, daemon.clock.realtime_us()).prepare()


async def blockdev_snapshot_delete_internal_sync(
    daemon: Daemon,
    *,
    device: str,
    id: str | None = None,  # noqa: A002 - the wire's name
    name: str | None = None,
) -> dict[str, Any]:
    """Delete a snapshot inside an image."""
    async with daemon.graph.lock:
        return snapshot_info(await internal_snapshots.delete(_root(daemon, device), id, name))


def _root(daemon: Daemon, name: str) -> Node:
    node = daemon.graph.find(name)
    if not backing_name.is_root(node):
        raise QMPError("Need a root block node")
    return node


async def snapshot_save(daemon: Daemon, *, job_id: str, tag: str, vmstate: str, devices: list[str]) -> None:
    """Start a job that takes a snapshot of several images."""
    await daemon.jobs.launch(
        SnapshotSaveJob(daemon.jobs, job_id, daemon.graph, tag=tag, devices=devices, vmstate=vmstate)
    )


async def snapshot_load(daemon: Daemon, *, job_id: str, tag: str, vmstate: str, devices: list[str]) -> None:
    """Start a job that takes several images back to a snapshot."""
    await daemon.jobs.launch(
        SnapshotLoadJob(daemon.jobs, job_id, daemon.graph, tag=tag, devices=devices, vmstate=vmstate)
    )


async def snapshot_delete(daemon: Daemon, *, job_id: str, tag: str, devices: list[str]) -> None:
    """Start a job that deletes a snapshot of several images."""
    await daemon.jobs.launch(SnapshotDeleteJob(daemon.jobs, job_id, daemon.graph, tag=tag, devices=devices))
