"""Start backups."""

from typing import Any

from qmpserver.commands.backup_actions import BackupAction, BackupOptions, BackupToImage, BackupToNode
from qmpserver.daemon import Daemon


async def blockdev_backup(
    daemon: Daemon,
    *,
    device: str,
    sync: str,
    target: str,
    job_id: str = "",
    speed: int = 0,
    bitmap: str | None = None,
    bitmap_mode: str | None = None,
    compress: bool = False,
    on_source_error: str = "report",
    on_target_error: str = "report",
    on_cbw_error: str = "break-guest-write",
    auto_finalize: bool = True,
    auto_dismiss: bool = True,
    filter_node_name: str | None = None,
    discard_source: bool = False,
    x_perf: dict[str, Any] | None = None,
) -> None:
    """Copy a node to another node."""
    options = BackupOptions(
        device,
        sync,
        job_id,
        speed,
        bitmap,
        bitmap_mode,
        compress,
        on_source_error,
        on_target_error,
        on_cbw_error,
        auto_finalize,
        auto_dismiss,
        filter_node_name,
        discard_source,
        x_perf or {},
    )
    await _start(daemon, BackupToNode(daemon, options, target))


async def drive_backup(
    daemon: Daemon,
    *,
    device: str,
    sync: str,
    target: str,
    job_id: str = "",
    speed: int = 0,
    bitmap: str | None = None,
    bitmap_mode: str | None = None,
    compress: bool = False,
    on_source_error: str = "report",
    on_target_error: str = "report",
    on_cbw_error: str = "break-guest-write",
    auto_finalize: bool = True,
    auto_dismiss: bool = True,
    filter_node_name: str | None = None,
    discard_source: bool = False,
    x_perf: dict[str, Any] | None = None,
    format: str | None = None,  # noqa: A002 - the wire's name
    mode: str = "absolute-paths",
) -> None:
    """Copy a node to an image."""
    options = BackupOptions(
        device,
        sync,
        job_id,
        speed,
        bitmap,
        bitmap_mode,
        compress,
        on_source_error,
        on_target_error,
        on_cbw_error,
        auto_finalize,
        auto_dismiss,
        filter_node_name,
        discard_source,
        x_perf or {},
    )
    await _start(daemon, BackupToImage(daemon, options, target, format, mode))


async def _start(daemon: Daemon, action: BackupAction) -> None:
    async with daemon.graph.lock:
        await action.prepare()
    await daemon.jobs.start(action.job)
