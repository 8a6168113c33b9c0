"""Copy what lies between a node and its base into the node: block-stream.

While it runs, a copy-on-read filter sits above the node, so that whatever others read is copied too.
At the end the node's image names the base as its backing file, the graph agrees, and the nodes in
between close.
"""

import contextlib
from dataclasses import dataclass
from typing import Any

from qmpserver.block import chain, filenames, reopening
from qmpserver.block.backend import BlockBackend
from qmpserver.block.graph import Graph
from qmpserver.block.node import Node
from qmpserver.block.opener import Opener
from qmpserver.driver_api import flags as request_flags
from qmpserver.driver_api.extras import SupportsBackingFile
from qmpserver.driver_api.permissions import PERM_ALL, PERM_NONE, ChildRole, Permission, PermissionSet
from qmpserver.errors import QMPError
from qmpserver.jobs.job import JobOwner
from qmpserver.jobs.job_filter import JobFilter
from qmpserver.jobs.sweep import SweepJob

_READS = Permission.CONSISTENT_READ | Permission.WRITE_UNCHANGED


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """What is to be streamed into what.

    Attributes:
        device: The node that was named: `top`, or a filter above it.
        bottom: The lowest node that data is copied from, or `top` when there is nothing to copy; no filter.
        above_base: The node right above the base: `bottom`, or a filter above the base that goes with it.
        backing_file: The name to store as the new backing file, or None for the base's own.
        mask_protocol: Store the format `raw` when the base is a protocol node.
        filter_node_name: The filter's name, or None for one nobody asked for.
    """

    device: Node
    bottom: Node
    above_base: Node
    backing_file: str | None = None
    mask_protocol: bool = False
    filter_node_name: str | None = None

    @property
    def top(self) -> Node:
        """The node that data is copied into; no filter."""
        return chain.skip_filters(self.device)


class StreamJob(SweepJob):
    """The job of block-stream.

    Args:
        manager: Holds the job.
        graph: The graph of the nodes.
        job_id: Its name.
        plan: What it streams.
        options: As for :class:`SweepJob`.
    """

    job_type = "stream"

    def __init__(
        self, manager: JobOwner, graph: Graph, job_id: str, plan: StreamPlan, **options: Any
    ) -> None:
        super().__init__(manager, graph, job_id, **options)
        self.plan = plan
        self._backend = BlockBackend(graph)
        self._filter = JobFilter(graph, self, plan.device)
        self._made_writable = False

    # Setting up and taking down

    async def set_up(self, opener: Opener, speed_bps: int) -> None:
        """Reserve the nodes, put in the filter and enter the manager.  The graph is locked.

        Raises:
            QMPError: Something forbids it; nothing has changed.
        """
        self.manager.check_new_id(self.job_id)
        device = self.plan.device
        try:
            if device.read_only:
                await reopening.set_read_only(self.graph, device, read_only=False)
                self._made_writable = True
            await self._insert_filter(opener)
            await self._backend.insert(
                self._filter.node, PermissionSet(Permission.CONSISTENT_READ, PERM_ALL & ~Permission.RESIZE)
            )
            await self._reserve_nodes()
            self.manager.add(self)
            self.set_speed(speed_bps)
        except BaseException:
            await self._take_down()
            raise

    async def _take_down(self) -> None:
        """Undo what has been set up; why that failed is what the caller is to hear."""
        if self.manager.get(self.job_id) is self:
            self.manager.forget_created(self)
        await self._filter.remove()
        with contextlib.suppress(OSError, QMPError):
            await self._backend.remove()
            await self.let_go()
            if self._filter.is_in:
                await self.graph.collect(self._filter.node)
            await self._restore_read_only()

    async def _insert_filter(self, opener: Opener) -> None:
        options = {"driver": "copy-on-read", "bottom": self.plan.bottom.node_name}
        try:
            await self._filter.insert(opener, options, self.plan.filter_node_name)
        except QMPError as error:
            raise error.within("Could not create node: ") from error

    async def _reserve_nodes(self) -> None:
        await self.reserve("main node", self._filter.node, PermissionSet(PERM_NONE, PERM_ALL))
        plan = self.plan
        await self.reserve("active node", plan.device, PermissionSet(PERM_NONE, _READS | Permission.WRITE))
        for node in chain.nodes(plan.device):
            if node is not plan.device:
                await self.reserve("intermediate node", node, PermissionSet(PERM_NONE, _READS))
            if node is plan.above_base:
                break
        self._filter.freeze_down_to(plan.above_base)

    async def _restore_read_only(self) -> None:
        if self._made_writable:
            self._made_writable = False
            await reopening.set_read_only(self.graph, self.plan.device, read_only=True)

    # The work

    async def run(self) -> None:
        """Copy everything allocated between `top` and the base, skipping what `top` has."""
        if self.plan.top is self.plan.bottom:
            return
        await self.sweep(self.plan.top.size)

    async def is_wanted(self, offset: int, length: int) -> tuple[bool, int]:
        """Say whether what begins at `offset` is below `top`, in a layer that is streamed."""
        top = self.plan.top
        allocated, run = await chain.is_allocated(top, offset, length)
        if allocated:
            return False, run
        below = chain.below(top)
        assert below is not None
        return await chain.is_allocated_down_to(below, self.plan.bottom.node_name, offset, run)

    async def move(self, offset: int, length: int) -> None:
        """Have the filter store a range in `top`."""
        buffer = self.engine.buffer(length)
        try:
            await self._backend.pread(offset, buffer, request_flags.COPY_ON_READ | request_flags.PREFETCH)
        finally:
            self.engine.give_back(buffer)

    # The end

    async def prepare(self) -> None:
        """Make the base the backing file, in the image and in the graph, as one step."""
        async with self.graph.lock:
            await self._filter.remove()
            if self.plan.top is self.plan.bottom:
                return
            async with contextlib.AsyncExitStack() as still:
                # What is still on its way through a filter looks at nodes that are about to go.
                for node in chain.nodes(self._filter.node):
                    await still.enter_async_context(node.drained())
                    if node is self.plan.top:
                        break
                await self._change_backing(self.plan.top)

    async def _change_backing(self, top: Node) -> None:
        base = chain.below(self.plan.above_base)
        named = chain.skip_filters(base) if base is not None else None
        filename = backing_format = None
        if named is not None:
            own_name = filenames.name_to_store(top, filenames.filename_of(named))
            filename = self.plan.backing_file or own_name
            backing_format = named.driver.format_name
            if self.plan.mask_protocol and named.driver.is_protocol:
                backing_format = "raw"
        if isinstance(top.driver, SupportsBackingFile):
            # The image first: should the power fail now, the old chain still gives the same data.
            await top.driver.change_backing_file(filename, backing_format)
        top.set_backing_filename(filename)
        old = top.children.get("backing")
        if old is not None:
            self.graph.detach(old)
            if base is not None:
                self.graph.attach(top, "backing", base, ChildRole.COW)
            await self.graph.refresh(top, old.node)

    async def clean(self) -> None:
        """Take out the filter if it is still in, stop using the node, and make it read-only again."""
        async with self.graph.lock:
            await self._filter.remove()
            await self._backend.remove()
            if self._made_writable:
                # The filter stores what it fetched for as long as it is there, so it has to go first.
                self.release_nodes([self._filter.node])
                await self.graph.collect(self._filter.node)
            await self._restore_read_only()
