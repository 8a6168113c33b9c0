"""Shape what ``query-block`` shows of drives."""

from collections.abc import Iterable
from typing import Any

from qmpserver.block import chain, info
from qmpserver.block.node import Node
from qmpserver.machine.media.drive import Drive
from qmpserver.machine.media.throttle_limits import limits_info


def is_shown(drive: Drive) -> bool:
    """Say whether clients know of a drive: it has a name or a device."""
    return bool(drive.name) or drive.user is not None


async def block_info(drives: Iterable[Drive], *, flat: bool) -> list[dict[str, Any]]:
    """Shape drives as a list of ``BlockInfo``."""
    shown = [drive for drive in drives if is_shown(drive)]
    sizes = await info.allocated_sizes(_nodes(shown))
    images = info.Shown()
    # A drive may have come to nothing while the host was asked.
    return [_drive_info(drive, sizes, images, flat=flat) for drive in shown if is_shown(drive)]


def _nodes(drives: Iterable[Drive]) -> Iterable[Node]:
    """Return every node that is shown, once."""
    found: dict[str, Node] = {}
    for drive in drives:
        medium = drive.medium
        for node in chain.nodes(medium) if medium is not None else ():
            found[node.node_name] = node
    return found.values()


def _drive_info(drive: Drive, sizes: info.Sizes, shown: info.Shown, *, flat: bool) -> dict[str, Any]:
    wire: dict[str, Any] = {
        "device": drive.name,
        "type": "unknown",
        "removable": drive.is_removable,
        "locked": drive.is_locked,
    }
    if drive.user is not None:
        wire["qdev"] = drive.qdev_path
    if drive.has_tray:
        wire["tray_open"] = drive.is_tray_open
    if drive.shows_io_status:
        wire["io-status"] = drive.io_status
    medium = drive.medium
    if medium is not None:
        wire["inserted"] = inserted_info(drive, medium, sizes, flat=flat, shown=shown)
    return wire


def inserted_info(
    drive: Drive, medium: Node, sizes: info.Sizes, *, flat: bool, shown: info.Shown | None = None
) -> dict[str, Any]:
    """Shape the medium of a drive as ``BlockDeviceInfo``, with what the drive adds to it."""
    wire = info.block_device_info(medium, sizes, flat=flat, shown=shown)
    wire["cache"] = {**wire["cache"], "writeback": drive.write_cache}
    if drive.throttle is not None:
        wire |= limits_info(drive.throttle.group.limits)
        wire["group"] = drive.throttle_group
    return wire
