"""Take, apply and delete snapshots that images keep inside themselves.  The graph is locked throughout."""

import errno
import os
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from qmpserver.block.draining import run_drained
from qmpserver.block.graph import check_not_busy
from qmpserver.block.node import Node
from qmpserver.driver_api.extras import SnapshotInfo, SupportsSnapshots
from qmpserver.errors import QMPError, error_text
from qmpserver.log import get_logger
from qmpserver.transaction import TransactionAction

_log = get_logger("block")


class SnapshotImage(NamedTuple):
    """An image with snapshots.

    Attributes:
        node: The node that clients know.
        holder: The node that keeps the snapshots: the same, or the one that it passes everything on to.
        driver: That one's driver.
    """

    node: Node
    holder: Node
    driver: SupportsSnapshots

    def find(self, *, name: str) -> SnapshotInfo | None:
        """Return the first snapshot called `name`."""
        return next((one for one in self.driver.snapshots if one.name == name), None)

    async def take(self, wanted: SnapshotInfo, vm_state: bytes = b"") -> SnapshotInfo:
        """Keep the present state, with this state of a machine.

        Raises:
            OSError: See :meth:`SupportsSnapshots.create_snapshot`.
        """

        async def work() -> SnapshotInfo:
            if vm_state:
                await self.driver.write_vm_state(0, memoryview(vm_state))
            return await self.driver.create_snapshot(wanted)

        return await run_drained((self.holder,), work)

    async def apply(self, snapshot: SnapshotInfo) -> None:
        """Make a snapshot's state the present one.

        Raises:
            OSError: See :meth:`SupportsSnapshots.apply_snapshot` and :meth:`check_applicable`.
        """
        self.check_applicable()
        await self._run(self.driver.apply_snapshot, snapshot)

    def check_applicable(self) -> None:
        """Refuse to replace the present state.

        Raises:
            OSError: EBUSY while bitmaps record what changes.
        """
        if self.node.dirty_bitmaps or self.holder.dirty_bitmaps:
            raise OSError(errno.EBUSY, "Device has active dirty bitmaps")

    async def delete(self, snapshot: SnapshotInfo) -> None:
        """Forget a snapshot.

        Raises:
            OSError: See :meth:`SupportsSnapshots.delete_snapshot`.
        """
        await self._run(self.driver.delete_snapshot, snapshot)

    async def _run(
        self, change: Callable[[str | None, str | None], Awaitable[None]], snapshot: SnapshotInfo
    ) -> None:
        async def work() -> None:
            await change(snapshot.snapshot_id, snapshot.name)

        await run_drained((self.holder,), work)


def image_of(node: Node) -> SnapshotImage | None:
    """Return the image whose snapshots are those of `node`, or None when it can have none.

    QEMU: a node without means of its own, as a raw one, has those of the only node below it.
    """
    holder = node
    while not isinstance(holder.driver, SupportsSnapshots):
        if list(holder.children) != ["file"]:
            return None
        holder = holder.children["file"].node
    return SnapshotImage(node, holder, holder.driver)


def of_node(node: Node) -> tuple[SnapshotInfo, ...]:
    """Return the snapshots of a node, in the order they were taken."""
    image = image_of(node)
    return () if image is None else image.driver.snapshots


def writable_image_of(node: Node) -> SnapshotImage | None:
    """Return the same, or None also when it cannot be written."""
    image = image_of(node)
    if image is None or not all(_is_writable(one) for one in (node, image.holder)):
        return None
    return image


def _is_writable(node: Node) -> bool:
    return node.is_active and not node.read_only


class InternalSnapshot(TransactionAction):
    """One snapshot being taken, which can be taken back.

    Args:
        node: The node, which has no other above it.
        called: What the client called it.
        name: What to call the snapshot.
        now_us: Microseconds since 1970.
    """

    def __init__(self, node: Node, called: str, name: str, now_us: int) -> None:
        self._node = node
        self._called = called
        self._name = name
        self._now_us = now_us
        self._image: SnapshotImage | None = None
        self._taken: SnapshotInfo | None = None

    async def prepare(self) -> None:
        """Take the snapshot.

        Raises:
            QMPError: It cannot be had; nothing has changed.
        """
        self._image = image = self._checked()
        wanted = describe(self._name, self._now_us)
        try:
            self._taken = await image.take(wanted)
        except OSError as error:
            raise QMPError(
                f"Failed to create snapshot '{self._name}' on device '{self._called}': "
                f"{error.strerror or error_text(error)}"
            ) from error

    def _checked(self) -> SnapshotImage:
        node, called, name = self._node, self._called, self._name
        check_not_busy(node)
        if node.read_only:
            raise QMPError(f"Device '{called}' is read only")
        image = writable_image_of(node)
        if image is None:
            raise QMPError(
                f"Block format '{node.driver.format_name}' used by device '{called}' "
                "does not support internal snapshots"
            )
        if not name:
            raise QMPError("Name is empty")
        _check_list(image)
        if image.find(name=name) is not None:
            raise QMPError(f"Snapshot with name '{name}' already exists on device '{called}'")
        return image

    async def abort(self) -> None:
        """Delete the snapshot again; one that cannot be deleted remains."""
        if self._image is None or self._taken is None:
            return
        try:
            await self._image.delete(self._taken)
        except OSError as error:
            _log.error(
                "snapshot not taken back",
                node_name=self._node.node_name,
                snapshot_id=self._taken.snapshot_id,
                error=error_text(error),
            )


def describe(name: str, now_us: int, *, vm_state_size: int = 0) -> SnapshotInfo:
    """Describe a snapshot taken now, for its format to give it an id."""
    seconds, microseconds = divmod(now_us, 1_000_000)
    return SnapshotInfo(
        snapshot_id="",
        name=name,
        vm_state_size=vm_state_size,
        date_sec=seconds,
        date_nsec=microseconds * 1000,
    )


async def delete(node: Node, device: str, snapshot_id: str | None, name: str | None) -> SnapshotInfo:
    """Delete the first snapshot of that id and that name, as far as they are given, and return what it was.

    Args:
        node: The node.
        device: What the client called it.
        snapshot_id: The id.
        name: The name.

    Raises:
        QMPError: There is none, or it cannot be deleted; it is still there.
    """
    if snapshot_id is None and name is None:
        raise QMPError("Name or id must be provided")
    check_not_busy(node)
    image = image_of(node)
    _check_list(image)
    assert image is not None
    fitting = (
        one
        for one in image.driver.snapshots
        if snapshot_id in {None, one.snapshot_id} and name in {None, one.name}
    )
    found = next(fitting, None)
    if found is None:
        wanted_id, wanted_name = ("null" if word is None else word for word in (snapshot_id, name))
        raise QMPError(
            f"Snapshot with id '{wanted_id}' and name '{wanted_name}' does not exist on device '{device}'"
        )
    try:
        if writable_image_of(node) is None:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        await image.delete(found)
    except OSError as error:
        raise QMPError(f"Failed to remove snapshot from snapshot list: {error_text(error)}") from error
    return found


def _check_list(image: SnapshotImage | None) -> None:
    """Refuse what has no list of snapshots.

    Raises:
        QMPError: With QEMU's text.
    """
    if image is None or not image.driver.can_hold_snapshots:
        raise QMPError(f"Failed to get a snapshot list: {os.strerror(errno.ENOTSUP)}")
