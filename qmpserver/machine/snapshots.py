"""Keep a machine as it is inside its images, and go back to that: ``savevm``, ``loadvm`` and ``delvm``.

A snapshot is taken of every image that can be written and that a device uses, or nothing at all; the machine's own
state lies in the first of them.
"""

from datetime import datetime
from typing import Any, Final

from qmpserver.block import internal_snapshots
from qmpserver.block.backend import BlockBackend
from qmpserver.block.graph import check_not_busy
from qmpserver.block.internal_snapshots import SnapshotImage
from qmpserver.block.node import Node
from qmpserver.driver_api.extras import SnapshotInfo
from qmpserver.errors import QMPError, error_text
from qmpserver.jobs import machine_state
from qmpserver.machine.machine import Machine

_NOWHERE: Final = "no block device can store vmstate for snapshot"


def named(machine: Machine, node: Node) -> str:
    """Return what users call an image: by its drive, or by its node."""
    return machine.drives.name_of(node) or node.node_name


def _is_used(node: Node) -> bool:
    users = [edge.parent for edge in node.parents]
    return not users or any(isinstance(user, BlockBackend) for user in users)


def images_of(machine: Machine, *, only_fit: bool = False) -> list[SnapshotImage]:
    """Return the images that snapshots are taken of, the oldest first.  The graph is locked.

    Args:
        machine: The machine.
        only_fit: Pass over those that can hold none.

    Raises:
        QMPError: One can be written but holds no snapshots, or there is none at all.
    """
    found = []
    for node in machine.graph:
        if node.read_only or not node.is_active or not _is_used(node):
            continue
        image = internal_snapshots.writable_image_of(node)
        if image is not None and image.driver.can_hold_snapshots:
            found.append(image)
        elif not only_fit:
            raise QMPError(f"Device '{named(machine, node)}' is writable but does not support snapshots")
    if not found:
        raise QMPError(_NOWHERE)
    return found


async def save(machine: Machine, tag: str | None) -> None:
    """Take a snapshot; one of the same name goes.

    Args:
        machine: The machine, which stands still meanwhile.
        tag: Its name, or None to have it named after the time.

    Raises:
        QMPError: It cannot be had; what was there of the name may be gone.
    """
    state = machine.state_keeper.stop_to_save()
    try:
        async with machine.graph.lock:
            await _save(machine, tag, machine_state.pack(state))
    finally:
        machine.state_keeper.go_on()


async def load(machine: Machine, tag: str) -> None:
    """Go back to a snapshot.

    Raises:
        QMPError: There is none that fits, and nothing has changed; or, once images are changed, one cannot be read.
            The machine stands still.
    """
    machine.state_keeper.stop_to_load()
    async with machine.graph.lock:
        await _load(machine, tag)
    machine.state_keeper.go_on()


async def delete(machine: Machine, tag: str) -> None:
    """Forget a snapshot, wherever it is.

    Raises:
        QMPError: An image cannot forget it, or holds no snapshots.
    """
    async with machine.graph.lock:
        try:
            images = images_of(machine)
        except QMPError as error:
            if error.description == _NOWHERE:
                return
            raise
        await _delete(machine, images, tag)


async def _save(machine: Machine, tag: str | None, record: bytes) -> None:
    images = images_of(machine)
    for image in images:
        check_not_busy(image.node)
    now_us = machine.clock.realtime_us()
    name = tag if tag is not None else _name_of_time(now_us)
    await _delete(machine, images, name)
    taken: list[tuple[SnapshotImage, SnapshotInfo]] = []
    try:
        for image in images:
            vm_state = b"" if taken else record
            wanted = internal_snapshots.describe(name, now_us, vm_state_size=len(vm_state))
            taken.append((image, await image.take(wanted, vm_state)))
    except BaseException as error:
        for image, snapshot in reversed(taken):
            await image.delete(snapshot)
        if isinstance(error, OSError):
            raise QMPError(
                f"Could not create snapshot '{name}' on '{named(machine, images[len(taken)].node)}': "
                f"{error.strerror or error_text(error)}"
            ) from error
        raise


def _name_of_time(now_us: int) -> str:
    return datetime.fromtimestamp(now_us / 1_000_000).strftime("vm-%Y%m%d%H%M%S")  # noqa: DTZ006 - as a clock on the wall shows it


async def _load(machine: Machine, tag: str) -> None:
    images = images_of(machine)
    found = [image.find(name=tag) for image in images]
    snapshots = [snapshot for snapshot in found if snapshot is not None]
    if len(snapshots) < len(images):
        raise QMPError(f"Snapshot '{tag}' does not exist in one or more devices")
    for image in images:
        check_not_busy(image.node)
        try:
            image.check_applicable()
        except OSError as error:
            raise _failed(machine, image, "load", tag, error) from error
    state = await _read_state(machine, images[0], snapshots[0])
    for image, snapshot in zip(images, snapshots, strict=True):
        try:
            await image.apply(snapshot)
        except OSError as error:
            raise _failed(machine, image, "load", tag, error) from error
    machine.state_keeper.restore(state)


async def _read_state(machine: Machine, image: SnapshotImage, snapshot: SnapshotInfo) -> dict[str, Any]:
    """Return the state of the machine that lies in a snapshot, and fits this one."""
    if not snapshot.vm_state_size:
        raise QMPError("This is a disk-only snapshot. Revert to it  offline using qemu-img")
    record = bytearray(min(snapshot.vm_state_size, machine_state.MAX_RECORD))
    await image.driver.read_snapshot_vm_state(snapshot.snapshot_id, 0, memoryview(record))
    state = machine_state.parse(bytes(record))
    machine.state_keeper.check(state)
    return state


async def _delete(machine: Machine, images: list[SnapshotImage], tag: str) -> None:
    for image in images:
        snapshot = image.find(name=tag)
        if snapshot is None:
            continue
        try:
            await image.delete(snapshot)
        except OSError as error:
            raise _failed(machine, image, "delete", tag, error) from error


def _failed(machine: Machine, image: SnapshotImage, what: str, tag: str, error: OSError) -> QMPError:
    reason = error.strerror or error_text(error)
    return QMPError(f"Could not {what} snapshot '{tag}' on '{named(machine, image.node)}': {reason}")
