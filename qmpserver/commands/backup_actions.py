"""Make the actions that start backups, for a command of their own or for a transaction."""

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any

from qmpserver.block import bitmap_checks, bitmap_lookup, chain
from qmpserver.block.graph import check_not_busy
from qmpserver.block.node import Node
from qmpserver.commands.roots import job_id_for
from qmpserver.commands.target_image import TargetImage, open_target
from qmpserver.daemon import Daemon
from qmpserver.errors import QMPError
from qmpserver.jobs.backup import BackupJob, BackupPlan, SyncMode
from qmpserver.jobs.bitmap_sync import BitmapSync, BitmapSyncMode
from qmpserver.jobs.error_policy import OnError
from qmpserver.jobs.job import Job
from qmpserver.jobs.transaction import JobTransaction
from qmpserver.transaction import TransactionAction

_MAX_INT = (1 << 31) - 1
_MAX_INT64 = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class BackupOptions:
    """What both ways to back up take; the names are those of the schema's ``BlockdevBackup``."""

    device: str
    sync: str
    job_id: str = ""
    speed: int = 0
    bitmap: str | None = None
    bitmap_mode: str | None = None
    compress: bool = False
    on_source_error: str = "report"
    on_target_error: str = "report"
    on_cbw_error: str = "break-guest-write"
    auto_finalize: bool = True
    auto_dismiss: bool = True
    filter_node_name: str | None = None
    discard_source: bool = False
    x_perf: dict[str, Any] = field(default_factory=dict)


class BackupAction(TransactionAction):
    """A backup to be started.  The graph is locked from :meth:`prepare` to the end of the others.

    Args:
        daemon: Whose nodes and jobs they are.
        options: What a client asked for.
        transaction: The jobs that share the new one's fate, or None when it is alone.
    """

    def __init__(
        self, daemon: Daemon, options: BackupOptions, transaction: JobTransaction[Job] | None = None
    ) -> None:
        self._daemon = daemon
        self._options = options
        self._transaction = transaction
        self._job: BackupJob | None = None

    @property
    def job(self) -> BackupJob:
        """The job, once it is prepared."""
        assert self._job is not None
        return self._job

    @abstractmethod
    async def prepare(self) -> None:
        """Make the job; what its source holds from now on is what it copies.

        Raises:
            QMPError: Something forbids it; nothing has changed.
        """

    async def commit(self) -> None:
        """Let the job run."""
        self._daemon.jobs.begin(self.job)

    async def abort(self) -> None:
        """Take the job back, if it was made."""
        if self._job is not None:
            await self._job.take_back()

    async def clean(self) -> None:
        """Do nothing: the job takes care of itself."""

    async def _make_job(self, source: Node, target: Node, sync: SyncMode) -> None:
        options, daemon = self._options, self._daemon
        bitmap, sync = _bitmap_sync(source, options, sync)
        _check_nodes(source, target, is_compressed=options.compress)
        perf = options.x_perf
        _check_perf(perf)
        if bitmap is not None and bitmap.mode is not BitmapSyncMode.NEVER:
            bitmap_checks.check_writable(bitmap.bitmap)
        if source.size != target.size:
            raise QMPError("Source and target image have different sizes")
        plan = BackupPlan(
            source,
            target,
            sync,
            bitmap,
            is_compressed=options.compress,
            discards_source=options.discard_source,
            breaks_writes=options.on_cbw_error == "break-guest-write",
            max_workers=perf.get("max-workers"),
            max_chunk=perf.get("max-chunk", 0),
            min_cluster_size=_min_cluster_size(perf),
            filter_node_name=options.filter_node_name,
        )
        job = BackupJob(
            daemon.jobs,
            daemon.graph,
            job_id_for(self._daemon, options.job_id, source),
            plan,
            on_source_error=OnError(options.on_source_error),
            on_target_error=OnError(options.on_target_error),
            auto_finalize=options.auto_finalize,
            auto_dismiss=options.auto_dismiss,
            transaction=self._transaction,
        )
        await job.set_up(daemon.opener, options.speed)
        self._job = job


class BackupToNode(BackupAction):
    """The action of blockdev-backup.

    Args:
        target: The name of the node to copy to.
        others: As for :class:`BackupAction`.
    """

    def __init__(self, daemon: Daemon, options: BackupOptions, target: str, **others: Any) -> None:
        super().__init__(daemon, options, **others)
        self._target = target

    async def prepare(self) -> None:
        """Make the job."""
        graph = self._daemon.graph
        source = graph.find(self._options.device)
        await self._make_job(source, graph.find(self._target), SyncMode(self._options.sync))


class BackupToImage(BackupAction):
    """The action of drive-backup.

    Args:
        target: The file of the image.
        image_format: Its format, or None for the source's, or the one that an existing image shows.
        mode: Whether it is to be made.
        others: As for :class:`BackupAction`.
    """

    def __init__(
        self,
        daemon: Daemon,
        options: BackupOptions,
        target: str,
        image_format: str | None,
        mode: str,
        **others: Any,
    ) -> None:
        super().__init__(daemon, options, **others)
        self._filename = target
        self._format = image_format
        self._is_existing = mode == "existing"

    async def prepare(self) -> None:
        """Make the image if it is to be new, open it, and make the job."""
        source = self._daemon.graph.find(self._options.device)
        image_format = self._format
        if image_format is None and not self._is_existing:
            image_format = source.driver.format_name
        check_not_busy(source)
        sync = SyncMode(self._options.sync)
        backing = None
        if sync is SyncMode.TOP:
            backing = chain.skip_filters(source).backing
            sync = sync if backing is not None else SyncMode.FULL
        elif sync is SyncMode.NONE:
            backing = source
        backing = chain.skip_implicit(backing) if backing is not None else None
        image = TargetImage(self._filename, image_format, self._is_existing, backing)
        target = await open_target(self._daemon, source, image, takes_source_as_backing=sync is SyncMode.NONE)
        try:
            await self._make_job(source, target, sync)
        except BaseException:
            await self._daemon.graph.discard(target)
            raise


# What QEMU checks, in its order


def _bitmap_sync(source: Node, options: BackupOptions, sync: SyncMode) -> tuple[BitmapSync | None, SyncMode]:
    """Return what becomes of the bitmap that was named, and what is copied."""
    name, given_mode = options.bitmap, options.bitmap_mode
    if sync in (SyncMode.BITMAP, SyncMode.INCREMENTAL) and name is None:
        raise QMPError(f"must provide a valid bitmap name for '{sync.value}' sync mode")
    if sync is SyncMode.INCREMENTAL:
        if given_mode not in (None, BitmapSyncMode.ON_SUCCESS.value):
            raise QMPError("Bitmap sync mode must be 'on-success' when using sync mode 'incremental'")
        sync, given_mode = SyncMode.BITMAP, BitmapSyncMode.ON_SUCCESS.value
    if name is None:
        if given_mode is not None:
            raise QMPError("Cannot specify bitmap sync mode without a bitmap")
        return None, sync
    bitmap = bitmap_lookup.on_node(source, name)
    if bitmap is None:
        raise QMPError(f"Bitmap '{name}' could not be found")
    if given_mode is None:
        raise QMPError("Bitmap sync mode must be given when providing a bitmap")
    mode = BitmapSyncMode(given_mode)
    bitmap_checks.check_readable(bitmap)
    if sync is SyncMode.NONE:
        raise QMPError("sync mode 'none' does not produce meaningful bitmap outputs")
    if mode is BitmapSyncMode.NEVER and sync is not SyncMode.BITMAP:
        raise QMPError(
            f"Bitmap sync mode 'never' has no meaningful effect when combined with sync mode '{sync.value}'"
        )
    return BitmapSync(source, bitmap, mode), sync


def _check_nodes(source: Node, target: Node, *, is_compressed: bool) -> None:
    if source is target:
        raise QMPError("Source and target cannot be the same")
    if is_compressed and not target.driver.supports_compressed_writes:
        raise QMPError("Compression is not supported for this drive ")
    check_not_busy(source)
    check_not_busy(target)


def _check_perf(perf: dict[str, Any]) -> None:
    if not 1 <= perf.get("max-workers", 1) <= _MAX_INT:
        raise QMPError(f"max-workers must be between 1 and {_MAX_INT}")
    if perf.get("max-chunk", 0) < 0:
        raise QMPError("max-chunk must be zero (which means no limit) or positive")
    if (least := _min_cluster_size(perf)) > _MAX_INT64:
        raise QMPError(f"min-cluster-size too large: {least} > {_MAX_INT64}")


def _min_cluster_size(perf: dict[str, Any]) -> int:
    # QEMU: a size on the wire may be negative, and then is what its 64 bits say.
    size: int = perf.get("min-cluster-size", 0)
    return size % (1 << 64)
