"""Make new images, and change what they were made with, and their size."""

from functools import partial
from typing import Any

from qmpserver.block.backend import BlockBackend
from qmpserver.block.draining import run_drained
from qmpserver.block.graph import check_no_overlay, check_not_busy
from qmpserver.daemon import Daemon
from qmpserver.driver_api.permissions import PERM_ALL, Permission, PermissionSet
from qmpserver.errors import QMPError, error_text
from qmpserver.jobs.amend import AmendJob
from qmpserver.jobs.create import CreateJob


async def blockdev_create(daemon: Daemon, *, job_id: str, options: dict[str, Any]) -> None:
    """Start a job that makes an image."""
    members = dict(options)
    driver = daemon.registry.find(members.pop("driver"))
    if not members:
        # No document says how such an image would be made; what only the tools can make is refused here too.
        raise QMPError("Driver does not support blockdev-create")
    job = CreateJob(
        daemon.jobs,
        job_id,
        driver,
        members,
        opener=daemon.opener,
        graph=daemon.graph,
        secrets=daemon.objects.secret,
    )
    await daemon.jobs.launch(job)


async def x_blockdev_amend(
    daemon: Daemon, *, job_id: str, node_name: str, options: dict[str, Any], force: bool = False
) -> None:
    """Start a job that changes options of an image."""
    members = dict(options)
    job = AmendJob(
        daemon.jobs,
        job_id,
        daemon.graph.find_either(None, node_name),
        daemon.registry.find(members.pop("driver")),
        members,
        graph=daemon.graph,
        secrets=daemon.objects.secret,
        force=force,
    )
    await daemon.jobs.launch(job)


async def block_resize(
    daemon: Daemon, *, size: int, device: str | None = None, node_name: str | None = None
) -> None:
    """Change the size that a node presents."""
    node = daemon.graph.find_either(device, node_name)
    if size < 0:
        raise QMPError("Parameter 'size' expects a >0 size")
    backend = BlockBackend(daemon.graph)
    async with daemon.graph.lock:
        check_not_busy(node)
        check_no_overlay(node)
        if node.read_only:
            raise QMPError("Image is read-only")
        await backend.insert(node, PermissionSet(Permission.RESIZE, PERM_ALL))
        try:
            await run_drained((node,), partial(node.truncate, size))
        except OSError as error:
            raise QMPError(error.strerror or error_text(error)) from error
        finally:
            await backend.remove()
