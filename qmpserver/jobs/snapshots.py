"""Take, apply and delete snapshots of several images at once, with a machine's state in one of them."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from qmpserver.block import internal_snapshots
from qmpserver.block.graph import Graph, check_not_busy
from qmpserver.block.internal_snapshots import SnapshotImage
from qmpserver.driver_api.extras import SnapshotInfo
from qmpserver.errors import QMPError, error_text
from qmpserver.jobs import machine_state
from qmpserver.jobs.job import JobOwner
from qmpserver.jobs.machine_state import NO_MACHINE, StateKeeper
from qmpserver.jobs.one_step import OneStepJob


class _SnapshotJob(OneStepJob):
    """A job on the snapshots of one name in several images.

    Args:
        manager: Holds the job.
        job_id: Its name.
        graph: Where the nodes are.
        tag: What the snapshots are called.
        devices: The nodes' names.
        vmstate: The one of them with the machine's state.
        keeper: Who knows that state.
    """

    def __init__(
        self,
        manager: JobOwner,
        job_id: str,
        graph: Graph,
        *,
        tag: str,
        devices: Sequence[str],
        vmstate: str = "",
        keeper: StateKeeper = NO_MACHINE,
    ) -> None:
        super().__init__(manager, job_id)
        self._graph = graph
        self._tag = tag
        self._devices = tuple(dict.fromkeys(devices))
        self._vmstate = vmstate
        self._keeper = keeper

    async def step(self) -> None:
        """Do it, while the graph stays as it is."""
        async with self._graph.lock:
            await self._work(self._images())

    async def _work(self, images: tuple[SnapshotImage, ...]) -> None:
        raise NotImplementedError

    def _images(self) -> tuple[SnapshotImage, ...]:
        if not self._devices:
            raise QMPError("At least one device is required for snapshot")
        return tuple(map(self._image, self._devices))

    def _image(self, name: str) -> SnapshotImage:
        node = self._graph.get(name)
        if node is None:
            raise QMPError(f"No block device node '{name}'")
        image = internal_snapshots.writable_image_of(node)
        if image is None:
            raise QMPError(f"Device '{name}' is writable but does not support snapshots")
        check_not_busy(node)
        return image

    def _vmstate_image(self, images: Iterable[SnapshotImage]) -> SnapshotImage:
        found = next((image for image in images if image.node.node_name == self._vmstate), None)
        if found is None:
            raise QMPError(f"vmstate block device '{self._vmstate}' does not exist")
        return found

    def _failed(self, what: str, image: SnapshotImage, error: OSError) -> QMPError:
        return QMPError(
            f"Could not {what} snapshot '{self._tag}' on '{image.node.node_name}': "
            f"{error.strerror or error_text(error)}"
        )


class SnapshotSaveJob(_SnapshotJob):
    """Takes a snapshot of each image; all of them, or none."""

    job_type: ClassVar[str] = "snapshot-save"

    async def _work(self, images: tuple[SnapshotImage, ...]) -> None:
        if any(image.find(name=self._tag) is not None for image in images):
            raise QMPError(f"Snapshot '{self._tag}' already exists in one or more devices")
        with_state = self._vmstate_image(images)
        try:
            await self._take_all(images, with_state, machine_state.pack(self._keeper.stop_to_save()))
        finally:
            self._keeper.go_on()

    async def _take_all(
        self, images: tuple[SnapshotImage, ...], with_state: SnapshotImage, record: bytes
    ) -> None:
        taken: list[tuple[SnapshotImage, SnapshotInfo]] = []
        try:
            for image in images:
                state = record if image is with_state else b""
                taken.append((image, await self._take(image, state)))
        except BaseException:
            for image, snapshot in reversed(taken):
                await image.delete(snapshot)
            raise

    async def _take(self, image: SnapshotImage, vm_state: bytes) -> SnapshotInfo:
        now_us = self.manager.clock.realtime_us()
        wanted = internal_snapshots.describe(self._tag, now_us, vm_state_size=len(vm_state))
        try:
            return await image.take(wanted, vm_state)
        except OSError as error:
            raise QMPError(f"Could not create snapshot '{self._tag}' on '{image.node.node_name}'") from error


class SnapshotLoadJob(_SnapshotJob):
    """Takes each image back to its snapshot, once it is known that the machine's state is one of ours."""

    job_type: ClassVar[str] = "snapshot-load"

    async def step(self) -> None:
        """Do it, with the machine stopped.

        QEMU: a machine that could not be taken back does not go on by itself.
        """
        self._keeper.stop_to_load()
        await super().step()
        self._keeper.go_on()

    async def _work(self, images: tuple[SnapshotImage, ...]) -> None:
        wanted: list[tuple[SnapshotImage, SnapshotInfo]] = []
        for image in images:
            snapshot = image.find(name=self._tag)
            if snapshot is None:
                raise QMPError(f"Snapshot '{self._tag}' does not exist in one or more devices")
            wanted.append((image, snapshot))
        with_state = self._vmstate_image(images)
        state = await self._read_state(next(pair for pair in wanted if pair[0] is with_state))
        self._keeper.check(state)
        # All of it is looked at before any image is changed.
        for image in images:
            try:
                image.check_applicable()
            except OSError as error:
                raise self._failed("load", image, error) from error
        for image, snapshot in wanted:
            try:
                await image.apply(snapshot)
            except OSError as error:
                raise self._failed("load", image, error) from error
        self._keeper.restore(state)

    async def _read_state(self, pair: tuple[SnapshotImage, SnapshotInfo]) -> dict[str, Any]:
        _, snapshot = pair
        if not snapshot.vm_state_size:
            raise QMPError("This is a disk-only snapshot. Revert to it  offline using qemu-img")
        head = await self._read_part(pair, 0, min(machine_state.HEAD_LENGTH, snapshot.vm_state_size))
        if not machine_state.is_ours(head):
            return machine_state.parse(head)
        length = min(machine_state.length_of(head), snapshot.vm_state_size - len(head))
        return machine_state.parse(head + await self._read_part(pair, len(head), length))

    @staticmethod
    async def _read_part(pair: tuple[SnapshotImage, SnapshotInfo], offset: int, length: int) -> bytes:
        image, snapshot = pair
        part = bytearray(length)
        with memoryview(part) as view:
            await image.driver.read_snapshot_vm_state(snapshot.snapshot_id, offset, view)
        return bytes(part)


class SnapshotDeleteJob(_SnapshotJob):
    """Deletes the snapshot of each image that has it."""

    job_type: ClassVar[str] = "snapshot-delete"

    async def _work(self, images: tuple[SnapshotImage, ...]) -> None:
        for image in images:
            snapshot = image.find(name=self._tag)
            if snapshot is None:
                continue
            try:
                await image.delete(snapshot)
            except OSError as error:
                raise self._failed("delete", image, error) from error
