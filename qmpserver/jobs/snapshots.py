"""Take, apply and delete snapshots of several images as jobs, which clients name the images for."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from qmpserver.block import internal_snapshots
from qmpserver.block.graph import Graph, check_not_busy
from qmpserver.block.internal_snapshots import SnapshotImage
from qmpserver.errors import QMPError
from qmpserver.jobs import machine_state, snapshot_images
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


class SnapshotSaveJob(_SnapshotJob):
    """Takes a snapshot of each image; all of them, or none."""

    job_type: ClassVar[str] = "snapshot-save"

    async def _work(self, images: tuple[SnapshotImage, ...]) -> None:
        if any(image.find(name=self._tag) is not None for image in images):
            raise QMPError(f"Snapshot '{self._tag}' already exists in one or more devices")
        with_state = self._vmstate_image(images)
        try:
            record = machine_state.pack(self._keeper.stop_to_save())
            now_us = self.manager.clock.realtime_us()
            await snapshot_images.take(images, with_state, self._tag, record, now_us)
        finally:
            self._keeper.go_on()


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
        await snapshot_images.load(images, self._vmstate_image(images), self._tag, self._keeper)


class SnapshotDeleteJob(_SnapshotJob):
    """Deletes the snapshot of each image that has it."""

    job_type: ClassVar[str] = "snapshot-delete"

    async def _work(self, images: tuple[SnapshotImage, ...]) -> None:
        await snapshot_images.delete(images, self._tag)
