"""Keep a machine as it is inside its images, and go back to that: ``savevm``, ``loadvm`` and ``delvm``.

A snapshot is taken of every image that can be written and that a device uses, or nothing at all; the machine's own
state lies in the first of them.
"""

from datetime import datetime

from qmpserver.block import internal_snapshots
from qmpserver.block.backend import BlockBackend
from qmpserver.block.graph import check_not_busy
from qmpserver.block.internal_snapshots import SnapshotImage
from qmpserver.block.node import Node
from qmpserver.errors import QMPError
from qmpserver.jobs import machine_state, snapshot_images
from qmpserver.machine.machine import Machine


class NowhereToKeep(QMPError):
    """Refuse to take a snapshot where no image could hold it; whoever deletes one need not mind."""


def _is_used(node: Node) -> bool:
    users = [edge.parent for edge in node.parents]
    return not users or any(isinstance(user, BlockBackend) for user in users)


def images_of(machine: Machine, *, only_fit: bool = False) -> list[SnapshotImage]:
    """Return the images that snapshots are taken of, the oldest first.  The graph is locked.

    Args:
        machine: The machine.
        only_fit: Pass over those that can hold none.

    Raises:
        NowhereToKeep: There is none at all.
        QMPError: One can be written but holds no snapshots.
    """
    found = []
    for node in machine.graph:
        if node.read_only or not node.is_active or not _is_used(node):
            continue
        image = internal_snapshots.writable_image_of(node)
        if image is not None and image.driver.can_hold_snapshots:
            found.append(image)
        elif not only_fit:
            raise QMPError(f"Device '{node.device_or_node_name}' is writable but does not support snapshots")
    if not found:
        raise NowhereToKeep("no block device can store vmstate for snapshot")
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
        images = _idle_images_of(machine)
        await snapshot_images.load(images, images[0], tag, machine.state_keeper)
    machine.state_keeper.go_on()


async def delete(machine: Machine, tag: str) -> None:
    """Forget a snapshot, wherever it is.

    Raises:
        QMPError: An image cannot forget it, or holds no snapshots.
    """
    async with machine.graph.lock:
        try:
            images = images_of(machine)
        except NowhereToKeep:
            return
        await snapshot_images.delete(images, tag)


async def _save(machine: Machine, tag: str | None, record: bytes) -> None:
    images = _idle_images_of(machine)
    now_us = machine.clock.realtime_us()
    name = tag if tag is not None else _name_of_time(now_us)
    await snapshot_images.delete(images, name)
    await snapshot_images.take(images, images[0], name, record, now_us)


def _idle_images_of(machine: Machine) -> list[SnapshotImage]:
    images = images_of(machine)
    for image in images:
        check_not_busy(image.node)
    return images


def _name_of_time(now_us: int) -> str:
    return datetime.fromtimestamp(now_us / 1_000_000).strftime("vm-%Y%m%d%H%M%S")  # noqa: DTZ006 - as a clock on the wall shows it
