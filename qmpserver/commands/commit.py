"""Start commits."""

from qmpserver.block import chain, filenames
from qmpserver.block.graph import check_not_busy
from qmpserver.block.node import Node
from qmpserver.commands.roots import find_root, job_id_for
from qmpserver.daemon import Daemon
from qmpserver.errors import DeviceNotFound, QMPError
from qmpserver.jobs.commit import CommitJob, CommitPlan
from qmpserver.jobs.error_policy import OnError
from qmpserver.jobs.mirror import ActiveCommitJob
from qmpserver.jobs.mirror_plan import MirrorPlan, MirrorSync, default_granularity


async def block_commit(
    daemon: Daemon,
    *,
    device: str,
    job_id: str = "",
    base_node: str | None = None,
    base: str | None = None,
    top_node: str | None = None,
    top: str | None = None,
    backing_file: str | None = None,
    backing_mask_protocol: bool = False,
    speed: int = 0,
    on_error: str = "report",
    filter_node_name: str | None = None,
    auto_finalize: bool = True,
    auto_dismiss: bool = True,
) -> None:
    """Copy layers of a chain down into one below them."""
    async with daemon.graph.lock:
        device_node = _find_device(daemon, device)
        top_found = _find_top(daemon, device_node, top, top_node)
        base_found = _find_base(daemon, top_found, base, base_node)
        above_base = _check_chain(top_found, base_found)
        job_id = job_id_for(daemon, job_id, device_node)
        job: ActiveCommitJob | CommitJob
        options = {
            "on_error": OnError(on_error),
            "auto_finalize": auto_finalize,
            "auto_dismiss": auto_dismiss,
        }
        if top_found is device_node:
            if backing_file is not None:
                raise QMPError("'backing-file' specified, but 'top' is the active layer")
            mirror_plan = MirrorPlan(
                device_node,
                base_found,
                MirrorSync.TOP,
                default_granularity(base_found),
                above_base,
                is_commit=True,
                on_target_error=OnError(on_error),
                filter_node_name=filter_node_name,
            )
            job = ActiveCommitJob(daemon.jobs, daemon.graph, job_id, mirror_plan, **options)
        else:
            plan = CommitPlan(
                device_node,
                top_found,
                base_found,
                above_base,
                backing_file,
                backing_mask_protocol,
                filter_node_name,
            )
            job = CommitJob(daemon.jobs, daemon.graph, job_id, plan, **options)
        await job.set_up(daemon.opener, speed)
    await daemon.jobs.start(job)


def _find_device(daemon: Daemon, device: str) -> Node:
    try:
        daemon.graph.find(device)
    except QMPError as error:
        raise DeviceNotFound(f"Device '{device}' not found") from error
    return find_root(daemon, device)


def _find_node(daemon: Daemon, name: str) -> Node:
    node = daemon.graph.get(name)
    if node is None:
        raise QMPError(f"Cannot find device='' nor node-name='{name}'")
    return node


def _find_top(daemon: Daemon, device: Node, top: str | None, top_node: str | None) -> Node:
    """Return the topmost node to be committed."""
    if top_node is not None and top is not None:
        raise QMPError("'top-node' and 'top' are mutually exclusive")
    if top_node is not None:
        node = _find_node(daemon, top_node)
        if not chain.contains(device, node):
            raise QMPError(f"'{top_node}' is not in this backing file chain")
        return node
    if top is None:
        return device
    # QEMU: the topmost image's name is compared by the letter.
    if top in (filenames.filename_of(device), filenames.image_filename_of(device)):
        return device
    found = chain.find_backing_image(device, top)
    if found is None:
        raise QMPError(f"Top image file {top} not found")
    return found


def _find_base(daemon: Daemon, top: Node, base: str | None, base_node: str | None) -> Node:
    """Return the node to commit into."""
    if base_node is not None and base is not None:
        raise QMPError("'base-node' and 'base' are mutually exclusive")
    if base_node is not None:
        node = _find_node(daemon, base_node)
        if not chain.contains(top, node):
            raise QMPError(f"'{base_node}' is not in this backing file chain")
        return node
    if base is not None:
        found = chain.find_backing_image(top, base)
        if found is None:
            raise QMPError(f"Can't find '{base}' in the backing chain")
        return found
    *_, lowest = chain.nodes(top)
    return lowest


def _check_chain(top: Node, base: Node) -> Node:
    """Refuse what cannot be committed; return the node right above `base`."""
    above_base = top
    for node in chain.nodes(top):
        check_not_busy(node)
        if node is base:
            break
        above_base = node
    if top is base:
        raise QMPError("cannot commit an image into itself")
    return above_base
