"""Copy what lies between a node and its base into the node: block-stream.

While it runs, a copy-on-read filter sits above the node, so that whatever others read is copied too.
At the end the node's image names the base as its backing file, the graph agrees, and the nodes in
between close.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

from qmpserver.block import chain, filenames, reopening
from qmpserver.block.backend import BlockBackend
from qmpserver.block.copy import CHUNK, CopyEngine
from qmpserver.block.graph import Graph
from qmpserver.block.node import Edge, Node
from qmpserver.block.opener import Opener
from qmpserver.driver_api import flags as request_flags
from qmpserver.driver_api.extras import SupportsBackingFile
from qmpserver.driver_api.permissions import PERM_ALL, PERM_NONE, ChildRole, Permission, PermissionSet
from qmpserver.errors import QMPError
from qmpserver.jobs.block_job import BlockJob
from qmpserver.jobs.error_policy import ErrorAction
from qmpserver.jobs.job import JobOwner
from qmpserver.units import KiB, MiB

LIMITED_CHUNK = 512 * KiB
"""Bytes moved at once under a speed limit, so that progress is seen in QEMU's steps."""

LOOK_AHEAD = 8 * MiB
"""Bytes that the images' tables are asked about at once."""

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


class StreamJob(BlockJob):
    """The job of block-stream.

    Args:
        manager: Holds the job.
        graph: The graph of the nodes.
        job_id: Its name.
        plan: What it streams.
        options: As for :class:`BlockJob`.
    """

    job_type = "stream"

    def __init__(
        self, manager: JobOwner, graph: Graph, job_id: str, plan: StreamPlan, **options: Any
    ) -> None:
        super().__init__(manager, graph, job_id, **options)
        self.plan = plan
        self._backend = BlockBackend(graph)
        self._filter: Node | None = None
        self._made_writable = False
        self._frozen: list[Edge] = []
        self._offset = 0
        self._first_error: OSError | None = None
        self._failed_at: int | None = None
        self._stopped_at: int | None = None
        self._run_end = 0
        self._run_is_wanted = False
        self._engine = CopyEngine(self._prefetch, self._chunk_done)

    @property
    def is_at_rest(self) -> bool:
        """Whether neither the job nor any chunk is at work."""
        return not self.is_busy and not self._engine.in_flight

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
            assert self._filter is not None
            await self._backend.insert(
                self._filter, PermissionSet(Permission.CONSISTENT_READ, PERM_ALL & ~Permission.RESIZE)
            )
            await self._reserve_nodes(self._filter)
            self.manager.add(self)
            self.set_speed(speed_bps)
        except BaseException:
            await self._take_down()
            raise

    async def _take_down(self) -> None:
        """Undo what has been set up; why that failed is what the caller is to hear."""
        if self.manager.get(self.job_id) is self:
            self.manager.forget_created(self)
        await self._drop_filter()
        with contextlib.suppress(OSError, QMPError):
            await self._backend.remove()
            await self.let_go()
            if self._filter is not None:
                await self.graph.collect(self._filter)
            await self._restore_read_only()

    async def _insert_filter(self, opener: Opener) -> None:
        plan = self.plan
        options: dict[str, Any] = {"driver": "copy-on-read", "bottom": plan.bottom.node_name}
        if plan.filter_node_name is not None:
            options["node-name"] = plan.filter_node_name
        try:
            self._filter = await opener.insert_filter(options, plan.device)
        except QMPError as error:
            raise error.within("Could not create node: ") from error
        self._filter.is_implicit = plan.filter_node_name is None

    async def _reserve_nodes(self, filter_node: Node) -> None:
        await self.reserve("main node", filter_node, PermissionSet(PERM_NONE, PERM_ALL))
        plan = self.plan
        await self.reserve("active node", plan.device, PermissionSet(PERM_NONE, _READS | Permission.WRITE))
        for node in chain.nodes(plan.device):
            if node is not plan.device:
                await self.reserve("intermediate node", node, PermissionSet(PERM_NONE, _READS))
            if node is plan.above_base:
                break
        self._freeze()

    def _freeze(self) -> None:
        """Hold the way from the filter down to `above_base` as it is."""
        assert self._filter is not None
        for node in chain.nodes(self._filter):
            if node is self.plan.above_base:
                break
            edge = node.children.get("file" if node.driver.is_filter else "backing")
            if edge is not None:
                edge.is_frozen = True
                self._frozen.append(edge)

    def _thaw(self) -> None:
        for edge in self._frozen:
            edge.is_frozen = False
        self._frozen.clear()

    async def _drop_filter(self) -> None:
        """Lead the filter's users back to the node below; the filter itself goes with the job."""
        self._thaw()
        if self._filter is None:
            return
        for edge in [edge for edge in self._filter.parents if edge.parent is not self]:
            self.graph.lead(edge, self.plan.device)
        await self.graph.loosen(self._filter, self.plan.device)

    async def _restore_read_only(self) -> None:
        if self._made_writable:
            self._made_writable = False
            await reopening.set_read_only(self.graph, self.plan.device, read_only=True)

    # The work

    async def run(self) -> None:
        """Copy everything allocated between `top` and the base, skipping what `top` has."""
        if self.plan.top is self.plan.bottom:
            return
        self.progress_total = self.plan.top.size
        try:
            while not self._is_done:
                await self.pause_point()
                if self._stopped_at is not None:
                    await self._go_back()
                await self._step()
                if self._offset >= self.progress_total:
                    await self._engine.settle()
        finally:
            await self._engine.settle()
        if self._failed_at is not None:
            self.progress_current = self._failed_at
        if self._first_error is not None:
            raise self._first_error

    @property
    def _is_done(self) -> bool:
        return self._offset >= self.progress_total and self._stopped_at is None

    async def _go_back(self) -> None:
        """Do again what an error stopped at; what was copied after it is found allocated."""
        await self._engine.settle()
        assert self._stopped_at is not None
        self._offset = self.progress_current = self._stopped_at
        self._stopped_at = None
        self._run_end = 0

    async def _step(self) -> None:
        """Skip or submit the next piece of a run of one kind, and rest if the speed asks for it."""
        offset = self._offset
        chunk = LIMITED_CHUNK if self.limit.is_limited else CHUNK
        if offset >= self._run_end and not await self._look_ahead(offset, chunk):
            return
        length = self._run_end - offset
        if not self._run_is_wanted:
            self._offset += length
            self.progress_current += length
            # Tables in memory answer at once: without this a large empty disk would hold up everybody.
            await asyncio.sleep(0)
            return
        length = min(length, chunk)
        self._offset += length
        await self._engine.submit(offset, length)
        rest_ns = self.limit.account(length, self.manager.clock.monotonic_ns())
        if rest_ns:
            await self.sleep(rest_ns)

    async def _look_ahead(self, offset: int, chunk: int) -> bool:
        """Find out how far what begins at `offset` goes on alike, and whether it is to be copied.

        What others copy in the meantime is found allocated when its turn comes, and costs nothing.
        """
        length = min(self.progress_total - offset, LOOK_AHEAD)
        if not length:
            return False
        try:
            self._run_is_wanted, run = await self._is_wanted(offset, length)
        except OSError as error:
            length = min(length, chunk)
            self._offset += length
            self._chunk_done(offset, length, error)
            return False
        self._run_end = offset + run
        return True

    async def _is_wanted(self, offset: int, length: int) -> tuple[bool, int]:
        top = self.plan.top
        allocated, run = await chain.is_allocated(top, offset, length)
        if allocated:
            return False, run
        below = chain.below(top)
        assert below is not None
        return await chain.is_allocated_down_to(below, self.plan.bottom.node_name, offset, run)

    async def _prefetch(self, offset: int, length: int) -> None:
        buffer = self._engine.buffer(length)
        try:
            await self._backend.pread(offset, buffer, request_flags.COPY_ON_READ | request_flags.PREFETCH)
        finally:
            self._engine.give_back(buffer)

    def _chunk_done(self, offset: int, length: int, error: OSError | None) -> None:
        if error is None:
            self.progress_current += length
        elif self._stopped_at is not None:
            # Chunks in flight beside the one that stopped the job are not news; they are done again too.
            self._stopped_at = min(offset, self._stopped_at)
        elif self._failed_at is None:
            self._on_first_error(offset, length, error)

    def _on_first_error(self, offset: int, length: int, error: OSError) -> None:
        action = self.handle_error(error, "read")
        if action is ErrorAction.STOP:
            self._stopped_at = offset
            return
        self._first_error = self._first_error or error
        if action is ErrorAction.IGNORE:
            self.progress_current += length
        else:
            self._failed_at = offset
            self._offset = self.progress_total

    async def before_pause(self) -> None:
        """Let the chunks in flight end; what an error stopped at is as far as the job has come."""
        await self._engine.settle()
        if self._stopped_at is not None:
            self.progress_current = self._stopped_at

    # The end

    async def prepare(self) -> None:
        """Make the base the backing file, in the image and in the graph, as one step."""
        async with self.graph.lock:
            await self._drop_filter()
            if self.plan.top is self.plan.bottom:
                return
            assert self._filter is not None
            async with contextlib.AsyncExitStack() as still:
                # What is still on its way through a filter looks at nodes that are about to go.
                for node in chain.nodes(self._filter):
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
            await self._drop_filter()
            await self._backend.remove()
            if self._made_writable and self._filter is not None:
                # The filter stores what it fetched for as long as it is there, so it has to go first.
                self.release_nodes([self._filter])
                await self.graph.collect(self._filter)
            await self._restore_read_only()
