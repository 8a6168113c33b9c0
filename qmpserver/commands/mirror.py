"""Start mirrors, and change how they work."""

from dataclasses import replace
from typing import Any

from qmpserver.block import chain, filenames
from qmpserver.block.graph import check_no_overlay, check_not_busy
from qmpserver.block.node import Node
from qmpserver.commands.roots import find_root, job_id_for
from qmpserver.commands.target_image import TargetImage, create_target
from qmpserver.daemon import Daemon
from qmpserver.driver_api.extras import SupportsBackingFile
from qmpserver.driver_api.permissions import ChildRole
from qmpserver.errors import QMPError
from qmpserver.jobs.error_policy import OnError
from qmpserver.jobs.mirror import MirrorJob
from qmpserver.jobs.mirror_plan import (
    DEFAULT_BUFFER_SIZE,
    CopyMode,
    GiveBacking,
    MirrorPlan,
    MirrorSync,
    default_granularity,
)
from qmpserver.jobs.replacement import can_replace
from qmpserver.jobs.states import JobVerb
from qmpserver.units import MiB, is_power_of_two

_LEAST_GRANULARITY, _MOST_GRANULARITY = 512, 64 * MiB


async def blockdev_mirror(
    daemon: Daemon,
    *,
    device: str,
    target: str,
    sync: str,
    job_id: str = "",
    replaces: str | None = None,
    speed: int = 0,
    granularity: int = 0,
    buf_size: int = 0,
    on_source_error: str = "report",
    on_target_error: str = "report",
    filter_node_name: str | None = None,
    copy_mode: str = "background",
    auto_finalize: bool = True,
    auto_dismiss: bool = True,
    target_is_zero: bool = False,
) -> None:
    """Begin to mirror a node to another."""
    async with daemon.graph.lock:
        source = find_root(daemon, device)
        plan = _plan(source, daemon.graph.find(target), sync, granularity, buf_size)
        plan = replace(
            plan,
            replaces=replaces,
            copy_mode=CopyMode(copy_mode),
            on_target_error=OnError(on_target_error),
            filter_node_name=filter_node_name,
            target_is_zero=target_is_zero,
        )
        _check_nodes(daemon, plan)
        job = MirrorJob(
            daemon.jobs,
            daemon.graph,
            job_id_for(daemon, job_id, source),
            plan,
            on_error=OnError(on_source_error),
            auto_finalize=auto_finalize,
            auto_dismiss=auto_dismiss,
        )
        await job.set_up(daemon.opener, speed)
    await daemon.jobs.start(job)


async def drive_mirror(
    daemon: Daemon,
    *,
    device: str,
    target: str,
    sync: str,
    job_id: str = "",
    format: str | None = None,  # noqa: A002 - the wire's name
    node_name: str | None = None,
    replaces: str | None = None,
    mode: str = "absolute-paths",
    speed: int = 0,
    granularity: int = 0,
    buf_size: int = 0,
    on_source_error: str = "report",
    on_target_error: str = "report",
    unmap: bool = True,
    copy_mode: str = "background",
    auto_finalize: bool = True,
    auto_dismiss: bool = True,
) -> None:
    """Begin to mirror a node to an image that is made, or opened, for the purpose."""
    async with daemon.graph.lock:
        source = find_root(daemon, device)
        is_existing = mode == "existing"
        if replaces is not None and node_name is None:
            raise QMPError("a node-name must be provided when replacing a named node of the graph")
        backing = _backing_of_target(source, sync)
        image_format = format or (None if is_existing else source.driver.format_name)
        image = TargetImage(target, image_format, is_existing, backing)
        target_node = await _open_target(daemon, source, image, node_name)
        try:
            plan = _plan(source, target_node, sync, granularity, buf_size)
            plan = replace(
                plan,
                replaces=replaces,
                copy_mode=CopyMode(copy_mode),
                on_target_error=OnError(on_target_error),
                may_unmap=unmap,
                give_backing=_named_backing(daemon) if is_existing else _same_backing(daemon, backing),
            )
            _check_nodes(daemon, plan)
            job = MirrorJob(
                daemon.jobs,
                daemon.graph,
                job_id_for(daemon, job_id, source),
                plan,
                on_error=OnError(on_source_error),
                auto_finalize=auto_finalize,
                auto_dismiss=auto_dismiss,
            )
            await job.set_up(daemon.opener, speed)
        except BaseException:
            await daemon.graph.discard(target_node)
            raise
    await daemon.jobs.start(job)


def block_job_change(daemon: Daemon, *, options: dict[str, Any]) -> None:
    """Change how a running job works."""
    job = daemon.find_block_job(options["id"])
    job.check_verb(JobVerb.CHANGE)
    if type(job) is not MirrorJob:
        raise QMPError("Job type does not support change")
    # QEMU: it does not look whether the job is of the type that was named.
    job.change(CopyMode(options.get("copy-mode", "background")))


# What is to be mirrored


def _plan(source: Node, target: Node, sync: str, granularity: int, buf_size: int) -> MirrorPlan:
    """Look at what was asked for as far as it does not depend on what else the nodes are used for."""
    if granularity and not _LEAST_GRANULARITY <= granularity <= _MOST_GRANULARITY:
        raise QMPError("Parameter 'granularity' expects a value in range [512B, 64MB]")
    if granularity and not is_power_of_two(granularity):
        raise QMPError("Parameter 'granularity' expects a power of 2")
    below = chain.skip_filters(source).backing
    if below is None and sync == "top":
        sync = "full"
    bottom = chain.skip_filters(source) if sync == "top" else None
    return MirrorPlan(
        source,
        target,
        MirrorSync(sync),
        granularity or default_granularity(target),
        bottom,
        buffer_size=buf_size or DEFAULT_BUFFER_SIZE,
    )


def _check_nodes(daemon: Daemon, plan: MirrorPlan) -> None:
    """Refuse nodes that something else is being done with, and what cannot be mirrored."""
    source, target = plan.source, plan.target
    for node in (source, target):
        check_not_busy(node)
        check_no_overlay(node)
    if plan.replaces is not None:
        _check_replaced(daemon, plan)
    if plan.sync in (MirrorSync.INCREMENTAL, MirrorSync.BITMAP):
        raise QMPError(f"Sync mode '{plan.sync.value}' not supported")
    if plan.buffer_size < 0:
        raise QMPError("Invalid parameter 'buf-size'")
    if source is target:
        raise QMPError("Can't mirror node into itself")


def _check_replaced(daemon: Daemon, plan: MirrorPlan) -> None:
    replaced = daemon.graph.get(plan.replaces or "")
    if replaced is None:
        raise QMPError(f"Failed to find node with node-name='{plan.replaces}'")
    check_not_busy(replaced)
    check_no_overlay(replaced)
    if not can_replace(plan.source, replaced):
        raise QMPError(
            f"Cannot replace '{plan.replaces}' by a node mirrored from '{plan.source.node_name}', because it "
            "cannot be guaranteed that doing so would not lead to an abrupt change of visible data"
        )
    if plan.source.size != replaced.size:
        raise QMPError("cannot replace image with a mirror image of different size")


# The image of drive-mirror


def _backing_of_target(source: Node, sync: str) -> Node | None:
    """Return what the copy stands over: what the source does, the source itself, or nothing."""
    if sync == "none":
        return chain.skip_implicit(source)
    return chain.skip_filters(source).backing if sync == "top" else None


async def _open_target(daemon: Daemon, source: Node, image: TargetImage, node_name: str | None) -> Node:
    """Open the image without a backing node: it is only written."""
    file = filenames.protocol_options(image.filename)
    if not image.is_existing:
        await create_target(daemon, source, image)
    options: dict[str, Any] = {"file": file, "read-only": False}
    if image.image_format is not None:
        options["driver"] = image.image_format
    if node_name is not None:
        options["node-name"] = node_name
    return await daemon.opener.open_overlay(options, source.flags.but(detect_zeroes="off"))


def _same_backing(daemon: Daemon, backing: Node | None) -> GiveBacking:
    async def give(_source: Node, target: Node) -> None:
        if backing is None or not target.driver.supports_backing:
            return
        edge = daemon.graph.attach(target, "backing", backing, ChildRole.COW)
        try:
            await daemon.graph.refresh(target)
        except BaseException:
            daemon.graph.detach(edge)
            raise

    return give


def _named_backing(daemon: Daemon) -> GiveBacking:
    async def give(_source: Node, target: Node) -> None:
        if isinstance(target.driver, SupportsBackingFile):
            await daemon.opener.open_backing(target)

    return give
