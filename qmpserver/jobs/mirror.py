"""Keep another node equal to one that is in use, and put it in its place: mirror jobs, and active commit.

While the job runs, a `mirror_top` filter sits above the source and shows the job every change.  When both
sides are equal the job is READY and goes on copying what is written, until it is told to complete: then the
source is held still, what is left is copied, and the users of the source become users of the target.
"""

import contextlib
from typing import Any

from qmpserver.block import chain, reopening
from qmpserver.block.backend import BlockBackend
from qmpserver.block.dirty_bitmap import DirtyBitmap
from qmpserver.block.graph import Graph
from qmpserver.block.hurrying import cancel_held
from qmpserver.block.node import Node
from qmpserver.block.opener import Opener
from qmpserver.clock import Timer
from qmpserver.driver_api.interception import SupportsInterception
from qmpserver.driver_api.permissions import PERM_ALL, PERM_NONE, Permission, PermissionSet
from qmpserver.errors import QMPError
from qmpserver.jobs.block_job import BlockJob
from qmpserver.jobs.error_policy import ErrorAction
from qmpserver.jobs.job import JobOwner
from qmpserver.jobs.job_filter import JobFilter
from qmpserver.jobs.mirror_copy import MirrorCopy
from qmpserver.jobs.mirror_plan import CopyMode, MirrorPlan
from qmpserver.jobs.mirror_start import find_unequal
from qmpserver.jobs.replacement import can_replace, lead_to
from qmpserver.jobs.speed import SLICE_NS
from qmpserver.jobs.states import JobVerb

_NO_RESIZE = PERM_ALL & ~Permission.RESIZE


class MirrorJob(BlockJob):
    """The job of blockdev-mirror and drive-mirror; :class:`ActiveCommitJob` is a kind of it.

    Args:
        manager: Holds the job.
        graph: The graph of the nodes.
        job_id: Its name.
        plan: What it mirrors.
        options: As for :class:`BlockJob`; `on_error` is for the source.
    """

    job_type = "mirror"

    def __init__(
        self, manager: JobOwner, graph: Graph, job_id: str, plan: MirrorPlan, **options: Any
    ) -> None:
        super().__init__(manager, graph, job_id, **options)
        self.plan = plan
        self._target = BlockBackend(graph)
        self._filter = JobFilter(graph, self, plan.source)
        self._made_writable = False
        self._is_idle = False
        self._waking: Timer | None = None
        self._failure: OSError | None = None
        self._tries_later = False
        self._is_to_end = False
        self._is_to_replace = False
        self._still: contextlib.AsyncExitStack | None = None
        bitmap = DirtyBitmap(plan.source.size, plan.granularity)
        # The copy marks what comes through the filter; what it has carried out on both sides needs no mark.
        bitmap.is_enabled = False
        self._copy = MirrorCopy(plan, self._target, bitmap, self)

    @property
    def is_at_rest(self) -> bool:
        """Whether neither the job nor any copy is at work."""
        return not self.is_busy and self._copy.is_at_rest

    # Setting up and taking down

    async def set_up(self, opener: Opener, speed_bps: int) -> None:
        """Reserve the nodes, put in the filter and enter the manager.  The graph is locked.

        Raises:
            QMPError: Something forbids it; nothing has changed.
        """
        self.manager.check_new_id(self.job_id)
        try:
            await self._prepare_target()
            is_commit = {"is-commit": True} if self.plan.is_commit else {}
            options = {"driver": "mirror_top", **is_commit}
            await self._filter.insert(opener, options, self.plan.filter_node_name)
            await self._target.insert(self.plan.target, self._target_permissions())
            await self._reserve_nodes()
            self._intercept(self._copy)
            await self.graph.refresh(self._filter.node)
            await self._outwait_requests()
            self.manager.add(self)
            self.set_speed(speed_bps)
        except BaseException:
            await self._take_down()
            raise

    async def _prepare_target(self) -> None:
        if self.plan.is_commit and self.plan.target.read_only:
            await reopening.set_read_only(self.graph, self.plan.target, read_only=False)
            self._made_writable = True

    def _target_permissions(self) -> PermissionSet:
        used, shared = Permission.WRITE, Permission.WRITE_UNCHANGED
        if self.plan.is_commit:
            # Those above it read it too, through the layers that are being committed.
            shared |= Permission.CONSISTENT_READ | Permission.WRITE
            if self.plan.target.size < self.plan.source.size:
                used |= Permission.RESIZE
        return PermissionSet(used, shared)

    async def _reserve_nodes(self) -> None:
        plan = self.plan
        held = PermissionSet(Permission.CONSISTENT_READ, _NO_RESIZE)
        await self.reserve("main node", self._filter.node, held)
        await self.reserve("source", plan.source, PermissionSet(PERM_NONE, _NO_RESIZE))
        await self.reserve("target", plan.target, PermissionSet(PERM_NONE, PERM_ALL))
        if plan.is_commit:
            shared = Permission.WRITE_UNCHANGED | Permission.WRITE
            for node in chain.nodes(plan.source):
                if node is plan.target:
                    break
                if node is not plan.source:
                    await self.reserve("intermediate node", node, PermissionSet(PERM_NONE, shared))
            self._filter.freeze_down_to(plan.target)
        self._filter.node.dirty_bitmaps.append(self._copy.bitmap)

    def _intercept(self, copy: MirrorCopy | None) -> None:
        driver = self._filter.node.driver
        if isinstance(driver, SupportsInterception):
            driver.interceptor = copy

    async def _outwait_requests(self) -> None:
        """Wait for requests that came before the filter did: nothing would tell when they change the source."""
        for node in (self._filter.node, self.plan.source):
            async with node.drained():
                pass

    async def _take_down(self) -> None:
        """Undo what has been set up; why that failed is what the caller is to hear."""
        if self.manager.get(self.job_id) is self:
            self.manager.forget_created(self)
        with contextlib.suppress(OSError, QMPError):
            # What is on its way through the filter needs the target, and has ended when the filter has closed.
            await self._remove_filter()
            await self._let_target_go()
            await self.let_go()
            await self._restore_read_only()

    def _stop_watching(self) -> None:
        """Make the filter one that asks for nothing of its own and leaves the links below it alone."""
        self._intercept(None)
        self.release_nodes([self._filter.node])
        self._filter.thaw()

    async def _remove_filter(self) -> None:
        if self._filter.is_in:
            self._stop_watching()
            await self._filter.remove()
            await self.graph.collect(self._filter.node)

    async def _let_target_go(self) -> None:
        await self._target.remove()

    async def _restore_read_only(self) -> None:
        if self._made_writable:
            self._made_writable = False
            await reopening.set_read_only(self.graph, self.plan.target, read_only=True)

    # Steering

    @property
    def copy_mode(self) -> CopyMode:
        """What becomes of writes."""
        return self._copy.copy_mode

    def change(self, copy_mode: CopyMode) -> None:
        """Change what becomes of writes.

        Raises:
            QMPError: It cannot be changed like that.
        """
        self.check_verb(JobVerb.CHANGE)
        if copy_mode is self._copy.copy_mode:
            return
        if copy_mode is not CopyMode.WRITE_BLOCKING:
            raise QMPError(f"Change to copy mode '{copy_mode.value}' is not implemented")
        self._copy.copy_mode = copy_mode
        self.wake()

    async def complete(self) -> None:
        """Bring both sides to the same state, and put the target in the source's place.

        Raises:
            QMPError: The node to be replaced is gone.
        """
        if self.plan.replaces is not None and self.graph.get(self.plan.replaces) is None:
            raise QMPError(f"Node name '{self.plan.replaces}' not found")
        self._is_to_end = self._is_to_replace = True
        self.wake()
        await self.react()

    async def cancel(self, *, force: bool = True) -> None:
        """Call the job off; one that is ready ends well without `force`, and leaves the source in its place."""
        if force or not self.is_ready:
            await super().cancel(force=force)
            return
        self.check_verb(JobVerb.CANCEL)
        self._is_to_end, self._is_to_replace = True, False
        self.wake()
        await self.react()

    def mark_cancelled(self) -> None:
        """Count the job as cancelled; nobody waits for a target that is not there."""
        super().mark_cancelled()
        cancel_held(self.plan.target)

    # The work

    async def run(self) -> None:
        """Make both sides equal, keep them so, and end with the source held still when told to."""
        try:
            await self._match_sizes()
            await find_unequal(self.plan, self._copy, self.pause_point)
            while not await self._go_on():
                pass
        finally:
            await self._copy.settle()

    async def _match_sizes(self) -> None:
        size, target = self.plan.source.size, self._target.node
        if self.plan.is_commit and target.size < size:
            await target.truncate(size)
        elif not self.plan.is_commit and target.size != size:
            raise QMPError("Source and target image have different sizes")

    async def _go_on(self) -> bool:
        """Take the next step; say whether the work is over."""
        await self.pause_point()
        if self._failure is not None:
            raise self._failure
        if self._tries_later:
            self._tries_later = False
            await self.sleep(SLICE_NS)
        elif self._copy.bitmap.count:
            await self._copy_next()
        elif not self._copy.is_at_rest:
            await self._copy.settle()
        elif not self._copy.is_equal:
            # A write is on its way to both sides, and says when it is there.
            await self.sleep(SLICE_NS)
        elif await self._is_flushed():
            return await self._rest_or_end()
        self.copy_progressed()
        return False

    async def _copy_next(self) -> None:
        moved = await self._copy.submit_next(self.plan.buffer_size)
        self.copy_progressed()
        await self.keep_to_speed(moved)

    async def _is_flushed(self) -> bool:
        """Bring what is copied to stable storage; say whether both sides are still equal."""
        try:
            await self._target.flush()
        except OSError as error:
            self.copy_failed(error, "write")
            return False
        return self._copy.is_equal

    async def _rest_or_end(self) -> bool:
        self.copy_progressed()
        if self._copy.copy_mode is CopyMode.WRITE_BLOCKING:
            self._copy.is_actively_synced = True
        if not self.is_ready:
            self.become_ready()
        if self._is_to_end:
            return await self._hold_still()
        self._is_idle = True
        try:
            await self.rest()
        finally:
            self._is_idle = False
        return False

    async def _hold_still(self) -> bool:
        """Stop all requests to the source; let them go on if one of them has left something to copy."""
        still = contextlib.AsyncExitStack()
        for node in (self._filter.node, self.plan.source):
            await still.enter_async_context(node.drained())
        if not self._copy.is_equal or self._failure is not None or not await self._is_flushed():
            await still.aclose()
            return False
        self._still = still
        # QEMU: a job whose nodes are held still counts as paused.
        self.pause()
        return True

    def copy_progressed(self) -> None:
        """Count what is done, and what is left."""
        self.progress_current = self._copy.copied
        self.progress_total = self._copy.copied + self._copy.remaining

    def source_changed(self) -> None:
        """Have the job look in a while at what was written; more may follow by then."""
        if self._is_idle and self._waking is None:
            self._waking = self.manager.clock.call_later(SLICE_NS, self._wake_up)

    def _wake_up(self) -> None:
        self._waking = None
        self.wake()

    def copy_failed(self, error: OSError, operation: str) -> None:
        """Do what the policies say about an error."""
        if self._failure is not None or self.is_user_paused:
            # What was on its way beside the one that stopped the job is no news.
            return
        policy = self.plan.on_target_error if operation == "write" else self.on_error
        action = self.handle_error(error, operation, policy)
        if action is ErrorAction.REPORT:
            self._failure = error
            self.wake()
        elif action is ErrorAction.IGNORE:
            self._tries_later = True

    @property
    def is_failing(self) -> bool:
        """Whether an error is to end the job."""
        return self._failure is not None

    async def before_pause(self) -> None:
        """Let the copies in flight end."""
        await self._copy.settle()

    # The end

    async def prepare(self) -> None:
        """Put the target in the place of the source, if that was asked for."""
        if not self._is_to_replace:
            return
        async with self.graph.lock:
            replaced = self._replaced_node()
            await self._let_target_go()
            self._stop_watching()
            target = self.plan.target
            await self.plan.give_backing(self.plan.source, target)
            if target.read_only != replaced.read_only:
                await reopening.set_read_only(self.graph, target, read_only=replaced.read_only)
            await self._replace(replaced, target)
            self._made_writable = False

    def _replaced_node(self) -> Node:
        if self.plan.replaces is None:
            return self.plan.source
        node = self.graph.get(self.plan.replaces)
        if node is None or not can_replace(self.plan.source, node):
            raise QMPError(
                f"Can no longer replace '{self.plan.replaces}' by '{self.plan.target.node_name}', because "
                "it can no longer be guaranteed that doing so would not lead to an abrupt change of "
                "visible data"
            )
        return node

    async def _replace(self, replaced: Node, target: Node) -> None:
        """Lead the users of a node to the target."""
        if replaced is self.plan.source:
            # What waits in the filter while the source is held still goes to the target as well.
            below = self._filter.node.children[self._filter.node.driver.filtered_child]
            edges = [*self._filter.users, below]
        else:
            edges = [edge for edge in replaced.parents if edge.parent not in (self, target)]
        await lead_to(self.graph, edges, target)

    async def clean(self) -> None:
        """Take out the filter, let the target go, and let requests go on."""
        async with self.graph.lock:
            await self._remove_filter()
            await self._let_target_go()
            if self._still is not None:
                await self._still.aclose()
                self.resume()
            await self.let_go()
            await self._restore_read_only()

    def to_wire(self) -> dict[str, Any]:
        """Shape the job as ``BlockJobInfo``."""
        return {**super().to_wire(), "actively-synced": self._copy.is_actively_synced}


class ActiveCommitJob(MirrorJob):
    """Commit the topmost layers of a chain, which are being written, into a node below them."""

    job_type = "commit"

    def to_wire(self) -> dict[str, Any]:
        """Shape the job as ``BlockJobInfo``."""
        return BlockJob.to_wire(self)
