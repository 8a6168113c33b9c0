"""Backups: copy a node to another as it is at one moment, while it goes on being written to."""

import asyncio
import contextlib
import enum
from dataclasses import dataclass
from typing import Any

from qmpserver.block.block_copy import BlockCopy
from qmpserver.block.copy import CHUNK, MAX_IN_FLIGHT, CopyEngine
from qmpserver.block.copy_before_write import KeptPointInTime, point_in_time_of
from qmpserver.block.graph import Graph
from qmpserver.block.hurrying import cancel_held
from qmpserver.block.node import Node
from qmpserver.block.opener import Opener
from qmpserver.block.range_copy import CopyFailedError
from qmpserver.driver_api.permissions import PERM_ALL, PERM_NONE, PermissionSet
from qmpserver.errors import QMPError
from qmpserver.jobs.bitmap_sync import BitmapSync
from qmpserver.jobs.block_job import BlockJob
from qmpserver.jobs.error_policy import ErrorAction, OnError
from qmpserver.jobs.job import JobOwner
from qmpserver.jobs.speed import SLICE_NS
from qmpserver.jobs.states import JobStatus
from qmpserver.units import MiB

LIMITED_CHUNK = MiB
"""Bytes moved at once under a speed limit, as QEMU does."""

MAX_WORKERS = 16
"""Chunks in flight at most, whatever a client asks for; their memory is bounded so."""

_UNTIL_WOKEN_NS = 1 << 56
_HOLDS_NOTHING = PermissionSet(PERM_NONE, PERM_ALL)


class SyncMode(enum.Enum):
    """What of the source is copied; the values are the wire's (MirrorSyncMode)."""

    TOP = "top"
    """What the node itself holds, not what is below it."""
    FULL = "full"
    """Everything."""
    NONE = "none"
    """Only what is about to change, for as long as the job runs."""
    INCREMENTAL = "incremental"
    """What a bitmap has marked; the bitmap begins anew."""
    BITMAP = "bitmap"
    """What a bitmap has marked."""


@dataclass(frozen=True, slots=True)
class BackupPlan:
    """What is to be copied where.

    Attributes:
        source: The node that is copied.
        target: The node that is written.
        sync: What is copied.
        bitmap: What is to become of the bitmap that was named, or None.
        is_compressed: Data is stored compressed.
        discards_source: What has been copied is discarded from the source.
        breaks_writes: A write to the source fails if what it replaces cannot be copied; otherwise the job does.
        max_workers: Chunks in flight at the same time, or None for the usual.
        max_chunk: Bytes moved at once, or 0 for the usual.
        min_cluster_size: The least that is copied, in bytes; 0 leaves it to the target.
        filter_node_name: The filter's name, or None for one of its own.
    """

    source: Node
    target: Node
    sync: SyncMode
    bitmap: BitmapSync | None = None
    is_compressed: bool = False
    discards_source: bool = False
    breaks_writes: bool = True
    max_workers: int | None = None
    max_chunk: int = 0
    min_cluster_size: int = 0
    filter_node_name: str | None = None


class BackupJob(BlockJob):
    """The job of blockdev-backup and drive-backup.

    Args:
        manager: Holds the job.
        graph: The graph of the nodes.
        job_id: Its name.
        plan: What it copies.
        on_source_error: What to do when the source cannot be read.
        on_target_error: What to do when the target cannot be written.
        options: As for :class:`BlockJob`.
    """

    job_type = "backup"

    def __init__(
        self,
        manager: JobOwner,
        graph: Graph,
        job_id: str,
        plan: BackupPlan,
        *,
        on_source_error: OnError,
        on_target_error: OnError,
        **options: Any,
    ) -> None:
        super().__init__(manager, graph, job_id, on_error=on_source_error, **options)
        self.plan = plan
        self._policies = {"read": on_source_error, "write": on_target_error}
        self._filter: Node | None = None
        self._kept: KeptPointInTime | None = None
        self._engine = CopyEngine(self._copy_chunk, self._chunk_done, self._workers)
        self._failure: OSError | None = None

    @property
    def _workers(self) -> int:
        wanted = self.plan.max_workers
        return MAX_IN_FLIGHT if wanted is None else min(wanted, MAX_WORKERS)

    @property
    def _copy(self) -> BlockCopy:
        assert self._kept is not None
        return self._kept.copy

    @property
    def is_at_rest(self) -> bool:
        """Whether neither the job nor any chunk is at work."""
        return not self.is_busy and not self._engine.in_flight

    # Setting up and taking down

    async def set_up(self, opener: Opener, speed_bps: int) -> None:
        """Put in the filter, reserve the nodes and enter the manager.  The graph is locked.

        The content at the moment this returns is what is copied.

        Raises:
            QMPError: Something forbids it; nothing has changed.
        """
        plan = self.plan
        try:
            async with plan.source.drained():
                await self._insert_filter(opener)
                if plan.bitmap is not None:
                    plan.bitmap.begin()
                self._choose_clusters()
            self.manager.check_new_id(self.job_id)
            assert self._filter is not None
            await self.reserve("main node", self._filter, _HOLDS_NOTHING)
            await self.reserve("target", plan.target, _HOLDS_NOTHING)
            self.manager.add(self)
            self.set_speed(speed_bps)
        except BaseException:
            await self._take_down()
            raise

    async def _take_down(self) -> None:
        """Undo what has been set up; why that failed is what the caller is to hear."""
        if self.manager.get(self.job_id) is self:
            self.manager.forget_created(self)
        with contextlib.suppress(OSError, QMPError):
            await self._let_go_of_everything(is_done=False)

    async def take_back(self) -> None:
        """Call off the job, which has not begun.  The graph is locked."""
        self.mark_cancelled()
        self.note_cancelled()
        self.set_status(JobStatus.ABORTING)
        with contextlib.suppress(OSError, QMPError):
            await self._let_go_of_everything(is_done=False)
        self.set_status(JobStatus.CONCLUDED)
        self.manager.forget_created(self)

    async def _insert_filter(self, opener: Opener) -> None:
        plan = self.plan
        options: dict[str, Any] = {
            "driver": "copy-before-write",
            "target": plan.target.node_name,
            "on-cbw-error": "break-guest-write" if plan.breaks_writes else "break-snapshot",
            "min-cluster-size": plan.min_cluster_size,
        }
        if plan.filter_node_name is not None:
            options["node-name"] = plan.filter_node_name
        try:
            self._filter = await opener.insert_filter(options, plan.source)
        except QMPError as error:
            raise type(error)(f"Could not create node: {error.description}") from error
        self._kept = point_in_time_of(self._filter)
        self._kept.on_lost = self.wake_from_rest
        if plan.discards_source:
            self._copy.discards_source = True
            await self.graph.refresh(self._filter)

    def _choose_clusters(self) -> None:
        """Say which clusters are to be copied, and in which pieces.

        Raises:
            QMPError: A piece would be less than a cluster.
        """
        plan, copy = self.plan, self._copy
        if plan.max_chunk and plan.max_chunk < copy.cluster_size:
            raise QMPError(
                f"Required max-chunk ({plan.max_chunk}) is less than backup cluster size ({copy.cluster_size})"
            )
        copy.is_compressed = plan.is_compressed
        copy.on_progress = self._note_progress
        copy.skips_unallocated = plan.sync is SyncMode.TOP
        if plan.sync is SyncMode.BITMAP and plan.bitmap is not None:
            copy.bitmap.clear()
            copy.bitmap.merge(plan.bitmap.bitmap)

    def mark_cancelled(self) -> None:
        """Count the job as cancelled; nobody waits for a target that is not there."""
        super().mark_cancelled()
        cancel_held(self.plan.target)

    # The work

    async def run(self) -> None:
        """Copy what is to be copied, or wait while the filter copies what is about to change."""
        self._note_progress(0)
        try:
            match self.plan.sync:
                case SyncMode.NONE:
                    while True:
                        await self.sleep(_UNTIL_WOKEN_NS)
                case SyncMode.TOP:
                    await self._leave_out_unallocated()
            await self._copy_all()
        finally:
            await self._engine.settle()

    def _note_progress(self, copied: int) -> None:
        self.progress_current += copied
        self.progress_total = self.progress_current + self._copy.bitmap.count

    async def _leave_out_unallocated(self) -> None:
        offset = 0
        while offset < self._copy.size:
            await self.pause_point()
            # Tables in memory answer at once: without this a large disk would hold up everybody.
            await asyncio.sleep(0)
            offset += await self._copy.leave_out_unallocated(offset)
        self._copy.skips_unallocated = False

    async def _copy_all(self) -> None:
        """Go over what is left to be copied until nothing is."""
        while self._copy.bitmap.count:
            has_failed = await self._go_over()
            if has_failed and self._copy.bitmap.count:
                # QEMU: it tries again at once, for as long as the errors last.
                await self.sleep(SLICE_NS)

    async def _go_over(self) -> bool:
        """Copy everything left once; say whether an error was met that is to be ignored."""
        offset, has_ignored = 0, False
        while True:
            await self.pause_point()
            self._raise_if_lost()
            area = self._copy.next_area(offset, self._copy.size, self._chunk)
            if area is None or self._failure is not None:
                await self._engine.settle()
            if self._failure is not None:
                has_ignored |= self._on_failure()
                # What stopped the job may lie behind.
                offset = 0 if self.is_paused else offset
            elif area is None:
                self._raise_if_lost()
                return has_ignored
            else:
                offset = sum(area)
                await self._submit(*area)

    async def _submit(self, offset: int, length: int) -> None:
        await self._engine.submit(offset, length)
        await self.keep_to_speed(length)

    @property
    def _chunk(self) -> int:
        return self.plan.max_chunk or (LIMITED_CHUNK if self.limit.is_limited else CHUNK)

    async def _copy_chunk(self, offset: int, length: int) -> None:
        await self._copy.copy(offset, length)

    def _chunk_done(self, offset: int, length: int, error: OSError | None) -> None:
        del offset, length
        if error is not None and self._failure is None:
            # What is in flight beside it is not news when it fails too.
            self._failure = error
            self.wake_from_rest()

    @property
    def is_failing(self) -> bool:
        """Whether a chunk has failed, or what is to be copied is lost."""
        return self._failure is not None or (self._kept is not None and self._kept.error is not None)

    def _on_failure(self) -> bool:
        """Deal with the error met; say whether the job goes on behind it.

        Raises:
            OSError: The error, which ends the job.
        """
        error, self._failure = self._failure, None
        assert error is not None
        operation = error.operation if isinstance(error, CopyFailedError) else "read"
        action = self.handle_error(error, operation, self._policies[operation])
        if action is ErrorAction.REPORT:
            raise error
        return action is ErrorAction.IGNORE

    def _raise_if_lost(self) -> None:
        """End the job once a write has gone by that the backup does not know of.

        QEMU: 11.1 ends such a job as a success.
        """
        assert self._kept is not None
        if self._kept.error is not None:
            raise self._kept.error

    async def before_pause(self) -> None:
        """Let the chunks in flight end."""
        await self._engine.settle()

    # The end

    async def clean(self) -> None:
        """Settle what becomes of the bitmap, take out the filter and let go of the nodes."""
        async with self.graph.lock:
            await self._let_go_of_everything(is_done=not self.has_failed)

    async def _let_go_of_everything(self, *, is_done: bool) -> None:
        if self._filter is None:
            return
        filter_node, source = self._filter, self._filter.children["file"].node
        async with filter_node.drained():
            if self.plan.bitmap is not None:
                self.plan.bitmap.end(is_done=is_done, not_copied=self._copy.bitmap)
            for edge in [edge for edge in filter_node.parents if edge.parent is not self]:
                self.graph.lead(edge, source)
        self._copy.on_progress = lambda _copied: None
        self._filter = None
        await self.let_go()
        await self.graph.collect(filter_node)
        await self.graph.loosen(source)
