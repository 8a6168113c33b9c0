"""Start and steer jobs on nodes."""

from typing import Any

from qmpserver.block import chain
from qmpserver.block.graph import check_not_busy
from qmpserver.block.node import Node
from qmpserver.commands.roots import job_id_for
from qmpserver.daemon import Daemon
from qmpserver.errors import NodeInUse, QMPError
from qmpserver.jobs.block_job import BlockJob
from qmpserver.jobs.error_policy import OnError
from qmpserver.jobs.states import JobVerb
from qmpserver.jobs.stream import StreamJob, StreamPlan


async def block_stream(
    daemon: Daemon,
    *,
    device: str,
    job_id: str = "",
    base: str | None = None,
    base_node: str | None = None,
    backing_file: str | None = None,
    backing_mask_protocol: bool = False,
    bottom: str | None = None,
    speed: int = 0,
    on_error: str = "report",
    filter_node_name: str | None = None,
    auto_finalize: bool = True,
    auto_dismiss: bool = True,
) -> None:
    """Copy what lies between a node and its base into the node."""
    _check_exclusive({"base": base, "base-node": base_node, "bottom": bottom})
    async with daemon.graph.lock:
        device_node = daemon.graph.find(device)
        base_found = _find_base(daemon, device_node, base, base_node, bottom)
        for node in chain.nodes(device_node):
            if node is base_found:
                break
            check_not_busy(node)
        if backing_file is not None and base_found is None:
            raise QMPError("backing file specified, but streaming the entire chain")
        lowest, above_base = _lowest_above(device_node, base_found)
        plan = StreamPlan(
            device_node, lowest, above_base, backing_file, backing_mask_protocol, filter_node_name
        )
        job = StreamJob(
            daemon.jobs,
            daemon.graph,
            job_id_for(daemon, job_id, device_node),
            plan,
            on_error=OnError(on_error),
            auto_finalize=auto_finalize,
            auto_dismiss=auto_dismiss,
        )
        await job.set_up(daemon.opener, speed)
    await daemon.jobs.start(job)


def _check_exclusive(given: dict[str, str | None]) -> None:
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        first, second = ("bottom", "base-node") if names == ["base-node", "bottom"] else names[:2]
        raise QMPError(f"'{first}' and '{second}' cannot be specified at the same time")


def _find_base(
    daemon: Daemon, top: Node, base: str | None, base_node: str | None, bottom: str | None
) -> Node | None:
    """Return the node that is to remain below `top`, or None when nothing is."""
    if base is not None:
        found = chain.find_backing_image(top, base)
        if found is None:
            raise QMPError(f"Can't find '{base}' in the backing chain")
        return found
    if base_node is not None:
        node = daemon.graph.get(base_node)
        if node is None:
            raise QMPError(f"Cannot find device='' nor node-name='{base_node}'")
        if node is top or not chain.contains(top, node):
            raise QMPError(f"Node '{base_node}' is not a backing image of '{top.node_name}'")
        return node
    if bottom is not None:
        node = daemon.graph.get(bottom)
        if node is None:
            raise QMPError(f"Cannot find device='' nor node-name='{bottom}'")
        if node.driver.is_filter:
            raise QMPError(f"Node '{bottom}' is a filter, use a non-filter node as 'bottom'")
        if not chain.contains(top, node):
            raise QMPError(f"Node '{bottom}' is not in a chain starting from '{top.node_name}'")
        return chain.below(node)
    return None


def _lowest_above(top: Node, base: Node | None) -> tuple[Node, Node]:
    """Return the lowest node of `top`'s chain above `base` that is no filter, and the lowest at all.

    Raises:
        QMPError: Only filters are above `base`.
    """
    lowest, above_base = None, top
    for node in chain.nodes(top):
        if node is base:
            break
        above_base = node
        if not node.driver.is_filter:
            lowest = node
    if lowest is None:
        name = base.node_name if base is not None else ""
        raise QMPError(f"'{name}' is not in the backing chain of '{top.node_name}'")
    return lowest, above_base


def query_block_jobs(daemon: Daemon) -> list[dict[str, Any]]:
    """Show every job on nodes."""
    return [job.to_wire() for job in daemon.jobs if isinstance(job, BlockJob)]


def block_job_set_speed(daemon: Daemon, *, device: str, speed: int) -> None:
    """Change a job's speed; 0 is no limit."""
    daemon.find_block_job(device).set_speed(speed)


async def block_job_cancel(daemon: Daemon, *, device: str, force: bool = False) -> None:
    """Call a job off; a paused one only by `force`."""
    job = daemon.find_block_job(device)
    job.check_verb(JobVerb.CANCEL)
    if job.is_user_paused and not force:
        raise NodeInUse(f"The block job for device '{device}' is currently paused")
    await job.cancel(force=force)


async def block_job_pause(daemon: Daemon, *, device: str) -> None:
    """Pause a job."""
    job = daemon.find_block_job(device)
    job.user_pause()
    await job.react()


async def block_job_resume(daemon: Daemon, *, device: str) -> None:
    """Let a paused job go on."""
    job = daemon.find_block_job(device)
    job.user_resume()
    await job.react()


async def block_job_complete(daemon: Daemon, *, device: str) -> None:
    """Let a job that is ready end."""
    job = daemon.find_block_job(device)
    job.check_verb(JobVerb.COMPLETE)
    await job.complete()


async def block_job_finalize(daemon: Daemon, *, id: str) -> None:  # noqa: A002 - the wire's name
    """Make a pending job's result stand."""
    await daemon.jobs.finalize(daemon.find_block_job(id))


async def block_job_dismiss(daemon: Daemon, *, id: str) -> None:  # noqa: A002 - the wire's name
    """Forget a concluded job."""
    await daemon.jobs.dismiss(daemon.find_block_job(id))
