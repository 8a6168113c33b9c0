"""Copy layers in the middle of a chain down into a node below them: block-commit, where nobody writes `top`.

While it runs, a `commit_top` filter sits above the topmost layer.  At the end the overlays above name the base
as their backing file, in the image first and then in the graph, and the layers in between are left alone.
"""

import contextlib
from dataclasses import dataclass
from typing import Any

from qmpserver.block import chain, filenames, reopening
from qmpserver.block.backend import BlockBackend
from qmpserver.block.copy import Buffers
from qmpserver.block.graph import Graph
from qmpserver.block.node import Edge, Node
from qmpserver.block.opener import Opener
from qmpserver.block.range_copy import RangeCopier
from qmpserver.driver_api.extras import SupportsBackingFile
from qmpserver.driver_api.permissions import PERM_ALL, PERM_NONE, ChildRole, Permission, PermissionSet
from qmpserver.errors import QMPError
from qmpserver.jobs.job import JobOwner
from qmpserver.jobs.job_filter import JobFilter
from qmpserver.jobs.replacement import lead_to
from qmpserver.jobs.sweep import SweepJob


@dataclass(frozen=True, slots=True)
class CommitPlan:
    """What is to be committed into what.

    Attributes:
        device: The topmost node of the chain, which stays.
        top: The topmost node that is committed.
        base: The node that is written.
        above_base: The node right above `base`.
        backing_file: The name to store as the overlays' new backing file, or None for the base's own.
        mask_protocol: Store the format `raw` when the base is a protocol node.
        filter_node_name: The filter's name, or None for one nobody asked for.
    """

    device: Node
    top: Node
    base: Node
    above_base: Node
    backing_file: str | None = None
    mask_protocol: bool = False
    filter_node_name: str | None = None


class CommitJob(SweepJob):
    """The job of block-commit where `top` is not the topmost node.

    Args:
        manager: Holds the job.
        graph: The graph of the nodes.
        job_id: Its name.
        plan: What it commits.
        options: As for :class:`SweepJob`.
    """

    job_type = "commit"

    def __init__(
        self, manager: JobOwner, graph: Graph, job_id: str, plan: CommitPlan, **options: Any
    ) -> None:
        super().__init__(manager, graph, job_id, **options)
        self.plan = plan
        self._top = BlockBackend(graph)
        self._base = BlockBackend(graph)
        self._filter = JobFilter(graph, self, plan.top)
        self._made_writable = False
        self._copier = RangeCopier(plan.top, plan.base, Buffers(), may_unmap=False)

    # Setting up and taking down

    async def set_up(self, opener: Opener, speed_bps: int) -> None:
        """Reserve the nodes, put in the filter and enter the manager.  The graph is locked.

        Raises:
            QMPError: Something forbids it; nothing has changed.
        """
        self.manager.check_new_id(self.job_id)
        plan = self.plan
        try:
            if plan.base.read_only:
                await reopening.set_read_only(self.graph, plan.base, read_only=False)
                self._made_writable = True
            options = {"driver": "commit_top", "read-only": True}
            try:
                await self._filter.insert(opener, options, plan.filter_node_name)
            except QMPError:
                # QEMU: the job is there before its filter, so clients hear of it.
                self.manager.add(self)
                raise
            await self._reserve_nodes()
            self.manager.add(self)
            self.set_speed(speed_bps)
        except BaseException:
            await self._take_down()
            raise

    async def _reserve_nodes(self) -> None:
        plan = self.plan
        nothing = PermissionSet(PERM_NONE, PERM_ALL)
        await self.reserve("main node", plan.device, nothing)
        # QEMU: what a layer holds no longer is all it should be, once something is committed.
        motion = PermissionSet(PERM_NONE, Permission.WRITE_UNCHANGED | Permission.WRITE)
        for node in chain.nodes(plan.top):
            if node is plan.base:
                break
            await self.reserve("intermediate node", node, motion)
        await self.reserve("base", plan.base, nothing)
        self._filter.freeze_down_to(plan.base)
        used = Permission.CONSISTENT_READ | Permission.WRITE
        if plan.base.size < plan.top.size:
            used |= Permission.RESIZE
        shared = Permission.CONSISTENT_READ | Permission.WRITE_UNCHANGED
        await self._base.insert(plan.base, PermissionSet(used, shared))
        await self._top.insert(plan.top, nothing)

    async def _take_down(self) -> None:
        """Undo what has been set up; why that failed is what the caller is to hear."""
        if self.manager.get(self.job_id) is self:
            self.manager.forget_created(self)
        with contextlib.suppress(OSError, QMPError):
            await self._let_all_go()

    async def _let_all_go(self) -> None:
        await self._filter.remove()
        await self._top.remove()
        await self._base.remove()
        if self._filter.is_in:
            await self.graph.collect(self._filter.node)
        await self.let_go()
        if self._made_writable:
            self._made_writable = False
            await reopening.set_read_only(self.graph, self.plan.base, read_only=True)

    # The work

    async def run(self) -> None:
        """Copy everything allocated between `top` and the base into the base."""
        size = self.plan.top.size
        if self.plan.base.size < size:
            await self.plan.base.truncate(size)
        await self.sweep(size)
        await self._hide_rest_of_base()
        await self._base.flush()

    async def _hide_rest_of_base(self) -> None:
        """Make zero what lies in the base past the end of `top`: `top` hid it from the overlays above.

        QEMU: what the base holds there shows in larger overlays afterwards.
        """
        rest = self.plan.base.size - self.plan.top.size
        if rest > 0:
            await self._base.pwrite_zeroes(self.plan.top.size, rest)

    async def is_wanted(self, offset: int, length: int) -> tuple[bool, int]:
        """Say whether a layer that is committed holds what begins at `offset`."""
        return await chain.is_allocated_down_to(self.plan.top, self.plan.above_base.node_name, offset, length)

    async def move(self, offset: int, length: int) -> None:
        """Store in the base what `top` shows."""
        await self._copier.copy(offset, length)

    # The end

    async def prepare(self) -> None:
        """Make the base the backing file of what stands over `top`, in the images and in the graph."""
        async with self.graph.lock:
            self._filter.thaw()
            await self._base.remove()
            overlays = self._filter.users
            async with contextlib.AsyncExitStack() as still:
                for edge in overlays:
                    if isinstance(edge.parent, Node):
                        await still.enter_async_context(edge.parent.drained())
                await still.enter_async_context(self._filter.node.drained())
                for edge in overlays:
                    await self._change_backing(edge)

    async def _change_backing(self, edge: Edge) -> None:
        """Lead one link to the base; the image first, for until then the old chain gives the same data."""
        overlay, base = edge.parent, self.plan.base
        if isinstance(overlay, Node) and edge.role & ChildRole.COW:
            await self._store_backing(overlay)
        await lead_to(self.graph, [edge], base)

    async def _store_backing(self, overlay: Node) -> None:
        driver = overlay.driver
        if not isinstance(driver, SupportsBackingFile):
            return
        named = chain.skip_filters(self.plan.base)
        own_name = filenames.name_to_store(overlay, filenames.filename_of(named))
        filename = self.plan.backing_file or own_name
        backing_format = named.driver.format_name
        if self.plan.mask_protocol and named.driver.is_protocol:
            backing_format = "raw"
        was_read_only = overlay.read_only
        if was_read_only:
            await reopening.set_read_only(self.graph, overlay, read_only=False)
        try:
            await driver.change_backing_file(filename, backing_format)
        finally:
            if was_read_only:
                await reopening.set_read_only(self.graph, overlay, read_only=True)
        overlay.set_backing_filename(filename)

    async def clean(self) -> None:
        """Take out the filter, let all nodes go, and make the base read-only again."""
        async with self.graph.lock:
            await self._let_all_go()
