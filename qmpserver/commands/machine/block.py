"""Limit and count what devices read and write."""

from collections.abc import Sequence

from qmpserver.errors import DeviceNotFound, QMPError
from qmpserver.machine.machine import Machine
from qmpserver.machine.media.drive import Drive
from qmpserver.machine.media.statistics import RequestKind
from qmpserver.machine.media.throttle_limits import LIMITS, limits_of


def block_set_io_throttle(
    machine: Machine,
    *,
    bps: int,
    bps_rd: int,
    bps_wr: int,
    iops: int,
    iops_rd: int,
    iops_wr: int,
    device: str | None = None,
    id: str | None = None,  # noqa: A002 - the wire's name
    group: str | None = None,
    iops_size: int | None = None,
    bps_max: int | None = None,
    bps_rd_max: int | None = None,
    bps_wr_max: int | None = None,
    iops_max: int | None = None,
    iops_rd_max: int | None = None,
    iops_wr_max: int | None = None,
    bps_max_length: int | None = None,
    bps_rd_max_length: int | None = None,
    bps_wr_max_length: int | None = None,
    iops_max_length: int | None = None,
    iops_rd_max_length: int | None = None,
    iops_wr_max_length: int | None = None,
) -> None:
    """Limit how fast a device may read and write."""
    given = dict(locals())
    drive = machine.drives.find(device=device, qdev_id=id)
    if drive.backend.root is None:
        raise QMPError("Device has no medium")
    drive.limit(limits_of({name: given[name] for name in LIMITS}), group)


def block_latency_histogram_set(
    machine: Machine,
    *,
    id: str,  # noqa: A002 - the wire's name
    boundaries: list[int] | None = None,
    boundaries_read: list[int] | None = None,
    boundaries_write: list[int] | None = None,
    boundaries_zap: list[int] | None = None,
    boundaries_flush: list[int] | None = None,
) -> None:
    """Count a device's requests by how long they take."""
    drive = machine.drives.find(qdev_id=id)
    wanted: dict[RequestKind, Sequence[int] | None] = {
        RequestKind.READ: boundaries_read,
        RequestKind.WRITE: boundaries_write,
        RequestKind.ZONE_APPEND: boundaries_zap,
        RequestKind.FLUSH: boundaries_flush,
    }
    if boundaries is None and all(one is None for one in wanted.values()):
        drive.statistics.clear_histograms()
    for kind, own in wanted.items():
        chosen = boundaries if own is None else own
        if chosen is not None:
            _set_histogram(drive, id, kind, chosen)


_WORDS = {
    RequestKind.READ: "read",
    RequestKind.WRITE: "write",
    RequestKind.ZONE_APPEND: "append write",
    RequestKind.FLUSH: "flush",
}


def _set_histogram(drive: Drive, called: str, kind: RequestKind, boundaries: Sequence[int]) -> None:
    try:
        drive.statistics.set_histogram(kind, boundaries)
    except ValueError as error:
        raise QMPError(f"Device '{called}' set {_WORDS[kind]} boundaries fail") from error


def block_passwd(
    machine: Machine, *, password: str, device: str | None = None, node_name: str | None = None
) -> None:
    """Refuse to take a password."""
    del password
    name = device or node_name or ""
    if name not in machine.drives and machine.graph.get(name) is None:
        raise DeviceNotFound(f"Device '{name}' not found")
    raise QMPError("Setting block passwords directly is no longer supported")
