"""Give a machine away, and take one over: what it is, its images, its trays and its dirty bitmaps."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from qmpserver import threads
from qmpserver.block.activation import activate, inactivate_all
from qmpserver.engine import Engine
from qmpserver.errors import QMPError
from qmpserver.machine import travelling_bitmaps
from qmpserver.machine.config import NO_UUID, MachineConfig
from qmpserver.machine.devices.tree import DeviceTree
from qmpserver.machine.media.store import DriveStore
from qmpserver.machine.run_state import MachineState
from qmpserver.machine.run_states import RunState
from qmpserver.machine.saved_state import Mapped, SavedState
from qmpserver.machine.travelling_bitmaps import Traveller


class MachineHandover:
    """What is kept of a machine, or passes from one process to another.

    Args:
        config: What it is.
        state: Whether it runs.
        engine: Its nodes.
        drives: What its devices read and write.
        devices: Its devices.

    Attributes:
        state: As given.
        on_given_up: Called with a sentence when nothing can come of this machine.
    """

    def __init__(
        self,
        config: MachineConfig,
        state: MachineState,
        engine: Engine,
        drives: DriveStore,
        devices: DeviceTree,
    ) -> None:
        self.state = state
        self.on_given_up: Callable[[str], object] = lambda _message: None
        self._config = config
        self._engine = engine
        self._drives = drives
        self._devices = devices
        self._travellers: list[Traveller] = []

    # Away

    def capture(self, run_state: RunState) -> SavedState:
        """Return what there is to know of the machine, without bitmaps.

        Args:
            run_state: The state it was in before it was stopped for this.
        """
        return SavedState(
            machine_type=self._config.machine_type,
            memory=self._config.memory.size,
            uuid=str(self._config.uuid),
            run_state=run_state,
            devices=self._count_devices(),
            trays={drive.qdev_path: drive.is_tray_open for drive in self._drives if drive.has_tray},
        )

    def claim_bitmaps(self, mapping: Mapped | None) -> None:
        """Keep the bitmaps that are to go along from being used otherwise.

        Raises:
            QMPError: One cannot go; none is kept.
        """
        self._travellers = travelling_bitmaps.claim(self._engine.graph, mapping)

    async def release(self, run_state: RunState) -> SavedState:
        """Leave all images to another process, and return what it has to know; `take_back` or `finish` comes next.

        Raises:
            QMPError: An image is in use; some may be left already.
        """
        async with self._engine.graph.lock:
            await inactivate_all(self._engine.graph)
        bitmaps = await threads.run(travelling_bitmaps.pack, self._travellers)
        return replace(self.capture(run_state), bitmaps=bitmaps)

    async def take_back(self) -> None:
        """Use the images and bitmaps again, whatever had become of them.

        Raises:
            QMPError: Another process has an image.
        """
        self.finish()
        await self.take_images()

    def finish(self) -> None:
        """Let go of the bitmaps that went along."""
        travelling_bitmaps.let_go(self._travellers)
        self._travellers = []

    # Here

    def check(self, saved: SavedState, *, same_uuid: bool) -> None:
        """See whether a state is one of such a machine as this one.

        Args:
            saved: The state.
            same_uuid: The identities have to be the same, where this machine has one.

        Raises:
            QMPError: It is not.
        """
        config = self._config
        if saved.machine_type != config.machine_type:
            raise QMPError(
                f"Machine type received is '{saved.machine_type}' and local is '{config.machine_type}'"
            )
        if saved.memory != config.memory.size:
            name = config.memory.backend or config.board.default_ram_id
            raise QMPError(
                f"Size mismatch: {name}: {saved.memory:#x} != {config.memory.size:#x}: Invalid argument"
            )
        if same_uuid and config.uuid != NO_UUID and saved.uuid != str(config.uuid):
            raise QMPError(f"UUID received is {saved.uuid} and local is {config.uuid}")
        here = self._count_devices()
        for type_name, count in saved.devices.items():
            if count > here.get(type_name, 0):
                raise QMPError(
                    f"Unknown section or instance '{type_name}' {here.get(type_name, 0)}. Make sure that your "
                    "current VM setup matches your saved VM setup, including any hotplugged devices"
                )
        for path in saved.trays:
            self._drives.find(qdev_id=path)

    def restore(self, saved: SavedState, mapping: Mapped | None = None) -> None:
        """Take over a state that was checked.

        Args:
            saved: The state.
            mapping: What the bitmaps are to be called here, or None for their own names.

        Raises:
            QMPError: A bitmap is no good; nothing has changed.
        """
        arrived = travelling_bitmaps.unpack(self._engine.graph, saved.bitmaps, mapping)
        travelling_bitmaps.install(arrived)
        # What is opened from now on is this process's.
        self._engine.opener.opens_active = True
        for path, is_open in saved.trays.items():
            self._drives.find(qdev_id=path).is_tray_open = is_open

    async def take_images(self) -> None:
        """Use all images.

        Raises:
            QMPError: One cannot be had.
        """
        self._engine.opener.opens_active = True
        async with self._engine.graph.lock:
            await activate(self._engine.graph, *self._engine.graph)

    def give_up(self, message: str) -> None:
        """Say that nothing can come of this machine."""
        self.on_given_up(message)

    def _count_devices(self) -> dict[str, int]:
        return dict(Counter(device.type.name for device in self._devices))
