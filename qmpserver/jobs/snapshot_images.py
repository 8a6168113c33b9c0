"""Take, apply and delete the snapshots of one name in several images, one of which holds a machine's state as well.

The graph is locked throughout.
"""

from collections.abc import Iterable
from typing import Any

from qmpserver.block import internal_snapshots
from qmpserver.block.internal_snapshots import SnapshotImage
from qmpserver.driver_api.extras import SnapshotInfo
from qmpserver.errors import QMPError, error_text
from qmpserver.jobs import machine_state
from qmpserver.jobs.machine_state import StateKeeper
from qmpserver.log import get_logger

_log = get_logger("jobs")


async def take(
    images: Iterable[SnapshotImage], with_state: SnapshotImage, tag: str, record: bytes, now_us: int
) -> None:
    """Take a snapshot of each image; all of them, or none.

    Args:
        images: The images.
        with_state: The one of them that the state lies in.
        tag: What the snapshots are called.
        record: The state.
        now_us: Microseconds since 1970.

    Raises:
        QMPError: An image cannot have one.
    """
    taken: list[tuple[SnapshotImage, SnapshotInfo]] = []
    try:
        for image in images:
            vm_state = record if image is with_state else b""
            wanted = internal_snapshots.describe(tag, now_us, vm_state_size=len(vm_state))
            try:
                taken.append((image, await image.take(wanted, vm_state)))
            except OSError as error:
                raise QMPError(f"Could not create snapshot '{tag}' on '{_called(image)}'") from error
    except BaseException:
        for image, snapshot in reversed(taken):
            await _take_back(image, snapshot)
        raise


async def _take_back(image: SnapshotImage, snapshot: SnapshotInfo) -> None:
    """Delete a snapshot again; one that cannot be deleted remains."""
    try:
        await image.delete(snapshot)
    except OSError as error:
        _log.error(
            "snapshot not taken back",
            node_name=image.node.node_name,
            snapshot_id=snapshot.snapshot_id,
            error=error_text(error),
        )


async def load(
    images: Iterable[SnapshotImage], with_state: SnapshotImage, tag: str, keeper: StateKeeper
) -> None:
    """Take each image back to its snapshot, once it is known that the machine's state is one of ours.

    Args:
        images: The images.
        with_state: The one of them that the state lies in.
        tag: What the snapshots are called.
        keeper: Who takes the state.

    Raises:
        QMPError: An image has none, or the state fits not, and nothing has changed; or, once images are changed,
            one cannot be read.
    """
    wanted: list[tuple[SnapshotImage, SnapshotInfo]] = []
    for image in images:
        snapshot = image.find(name=tag)
        if snapshot is None:
            raise QMPError(f"Snapshot '{tag}' does not exist in one or more devices")
        wanted.append((image, snapshot))
    state = await _read_state(*next(pair for pair in wanted if pair[0] is with_state))
    keeper.check(state)
    # All of it is looked at before any image is changed.
    for image, _ in wanted:
        try:
            image.check_applicable()
        except OSError as error:
            raise _failed("load", tag, image, error) from error
    for image, snapshot in wanted:
        try:
            await image.apply(snapshot)
        except OSError as error:
            raise _failed("load", tag, image, error) from error
    keeper.restore(state)


async def delete(images: Iterable[SnapshotImage], tag: str) -> None:
    """Delete the snapshot of each image that has it.

    Raises:
        QMPError: An image cannot forget it.
    """
    for image in images:
        snapshot = image.find(name=tag)
        if snapshot is None:
            continue
        try:
            await image.delete(snapshot)
        except OSError as error:
            raise _failed("delete", tag, image, error) from error


async def _read_state(image: SnapshotImage, snapshot: SnapshotInfo) -> dict[str, Any]:
    if not snapshot.vm_state_size:
        raise QMPError("This is a disk-only snapshot. Revert to it  offline using qemu-img")
    head = await _read_part(image, snapshot, 0, min(machine_state.HEAD_LENGTH, snapshot.vm_state_size))
    if not machine_state.is_ours(head):
        return machine_state.parse(head)
    length = min(machine_state.length_of(head), snapshot.vm_state_size - len(head))
    return machine_state.parse(head + await _read_part(image, snapshot, len(head), length))


async def _read_part(image: SnapshotImage, snapshot: SnapshotInfo, offset: int, length: int) -> bytes:
    part = bytearray(length)
    with memoryview(part) as view:
        await image.driver.read_snapshot_vm_state(snapshot.snapshot_id, offset, view)
    return bytes(part)


def _failed(what: str, tag: str, image: SnapshotImage, error: OSError) -> QMPError:
    reason = error.strerror or error_text(error)
    return QMPError(f"Could not {what} snapshot '{tag}' on '{_called(image)}': {reason}")


def _called(image: SnapshotImage) -> str:
    return image.node.device_or_node_name
