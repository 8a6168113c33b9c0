"""Hold what a machine is made of: a daemon, its run state, its devices and their media."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from qmpserver.block.graph import is_well_formed
from qmpserver.block.opener import Gate
from qmpserver.clock import Clock
from qmpserver.daemon import Daemon
from qmpserver.errors import ParameterError, QMPError
from qmpserver.log import get_logger
from qmpserver.machine.config import MachineConfig
from qmpserver.machine.devices.board import build_board
from qmpserver.machine.devices.references import References
from qmpserver.machine.devices.tree import DeviceTree
from qmpserver.machine.devices.types.table import OBJECT_TYPES
from qmpserver.machine.handover import MachineHandover
from qmpserver.machine.media import drive_info, drive_stats
from qmpserver.machine.media.placement import USUAL_UNITS
from qmpserver.machine.media.store import DriveStore
from qmpserver.machine.media.surroundings import DriveSurroundings
from qmpserver.machine.media.throttle_groups import ThrottleGroups
from qmpserver.machine.memory_backend import MEMORY_TYPES, MemoryBackend
from qmpserver.machine.migration.migration import Migration
from qmpserver.machine.processors import ProcessorThreads, places
from qmpserver.machine.random_source import RANDOM_TYPES, RandomSource
from qmpserver.machine.run_state import MachineState
from qmpserver.machine.run_states import RunState, ShutdownCause
from qmpserver.machine.snapshot_keeper import SnapshotKeeper
from qmpserver.qom.tree import Item
from qmpserver.qom.types import TypeTable
from qmpserver.schema.model import Schema

if TYPE_CHECKING:  # what a start does not need is imported when it is asked for
    from qmpserver.machine.hand_io import HandIo

_log = get_logger("machine")


class Machine(Daemon):
    """A daemon with the side that a guest and an orchestrator see.

    Args:
        schema: What commands, events and types there are, those of a machine among them.
        clock: What everything tells the time by.
        config: What it is to be.
        gate: Asked before a file that an image names is opened; raises QMPError to refuse.

    Attributes:
        config: As given.
        state: Whether it runs.
        processor_threads: The threads that its processors would run in.
        handover: What of it is kept, or passes from one process to another.
        migration: How it is handed to another process.
        drives: What its devices read and write.
        netdevs: The ids of its network backends, which carry nothing.
        audiodevs: Its audio backends by id, which play nothing.
        devices: Its devices.
        on_close: Called at its end, before anything is parted with.
    """

    def __init__(
        self, schema: Schema, clock: Clock, config: MachineConfig | None = None, gate: Gate | None = None
    ) -> None:
        super().__init__(schema, clock, gate)
        self.config = config or MachineConfig()
        self.state = MachineState(self.events, self.config.actions)
        self.state.can_wake_up = self.config.board.can_wake_up
        self.state.on_end = lambda cause: self.on_shutdown(cause.value)
        if self.config.incoming is not None:
            self.state.starts_by_itself = not self.config.starts_paused
            self.state.enter(RunState.INMIGRATE)
            # Its images are another process's until it comes.
            self.opener.opens_active = False
        for qom_type in MEMORY_TYPES:
            self.objects.add_maker(qom_type, MemoryBackend)
        for qom_type in RANDOM_TYPES:
            self.objects.add_maker(qom_type, RandomSource)
        self.processor_threads = ProcessorThreads()
        self.drives = self._make_drives()
        self.graph.devices = self.drives
        self._hand_io: HandIo | None = None
        self.state.on_resume.append(self.drives.resume)
        self.state.on_reset.append(self.drives.reset)
        self.on_close: list[Callable[[], Awaitable[None]]] = []
        self.netdevs: set[str] = set()
        self.audiodevs: dict[str, dict[str, Any]] = {}
        self.devices = self._make_devices()
        self.handover = MachineHandover(self.config, self.state, self, self.drives, self.devices)
        self.handover.on_given_up = self._give_up
        self.state_keeper = SnapshotKeeper(self.handover)
        self.migration = Migration(self.handover, self.events, clock)

    def _make_drives(self) -> DriveStore:
        groups = ThrottleGroups(self.objects, self.clock)
        around = DriveSurroundings(
            self.graph, self.clock, self.events, groups, lambda: self.state.stop(RunState.IO_ERROR)
        )
        return DriveStore(self, around)

    def _make_devices(self) -> DeviceTree:
        references = References(self.drives, self.chardevs, self.objects, self.netdevs, OBJECT_TYPES)
        cpus, board = self.config.topology.cpus, self.config.board
        devices = DeviceTree(references, self.events, self.clock, cpus, self.config.settings)
        cpu_places = [place.to_wire() for place in places(self.config.topology, has_nodes=False)]
        build_board(devices, board.family, self.config.cpu_type, cpu_places[:cpus])
        devices.unplugging.delay_ns = self.config.unplug_delay_ns
        self.state.on_reset.append(devices.unplugging.finish_all)
        if board.family == "q35":
            self.drives.units = USUAL_UNITS | {"ide": 1}
        if board.family in ("none", "microvm"):
            self.drives.usual_interface = "none"
        self.drives.find_device = devices.find
        return devices

    @property
    def hand_io(self) -> "HandIo":
        """Requests that users make of drives and nodes themselves."""
        from qmpserver.machine.hand_io import HandIo  # noqa: PLC0415 - few users do

        if self._hand_io is None:
            self._hand_io = HandIo(self.graph, self.schema)
        return self._hand_io

    @property
    def object_types(self) -> TypeTable:
        """The types of objects that there are."""
        return OBJECT_TYPES

    def further_objects(self) -> Mapping[str, Item]:
        """Return the machine itself, with its devices."""
        config = self.config
        values: dict[str, Any] = {
            "memory": {"size": self.memory_size},
            "memory-backend": f"/objects/{config.memory.backend or config.board.default_ram_id}",
            "smp": config.topology.to_wire(),
        }
        for number, flash in enumerate(device for device in self.devices if device.is_a("cfi.pflash01")):
            values[f"pflash{number}"] = flash.get_property("drive")
        return {"machine": self.devices.objects.as_object(f"{config.machine_type}-machine", values)}

    async def block_info(self, *, flat: bool) -> list[dict[str, Any]]:
        """Shape every drive as ``BlockInfo``."""
        return await drive_info.block_info(self.drives, flat=flat)

    def blockstats(self) -> list[dict[str, Any]]:
        """Shape what is counted of every drive as ``BlockStats``."""
        return drive_stats.blockstats(self.drives)

    @property
    def memory_size(self) -> int:
        """Bytes of its memory: as many as was said, or else as the object has that it is of."""
        memory = self.config.memory
        backend = None if memory.backend is None or memory.is_given else self.objects.get(memory.backend)
        return backend.get_property("size") if isinstance(backend, MemoryBackend) else memory.size

    @property
    def has_balloon(self) -> bool:
        """Whether a device could ask the guest for memory."""
        return any(device.type.name.startswith("virtio-balloon") for device in self.devices)

    def add_netdev(self, netdev_id: str) -> None:
        """Add a network backend, which carries nothing.

        Raises:
            QMPError: Its id is malformed, or taken.
        """
        if not is_well_formed(netdev_id):
            raise ParameterError("Parameter 'id' expects an identifier")
        if netdev_id in self.netdevs:
            raise QMPError(f"Duplicate ID '{netdev_id}'")
        self.netdevs.add(netdev_id)

    def add_audiodev(self, options: dict[str, Any]) -> None:
        """Add an audio backend, an ``Audiodev``.

        Raises:
            QMPError: Its id is taken.
        """
        audiodev_id = options["id"]
        if audiodev_id in self.audiodevs:
            raise QMPError(f"attempt to add duplicate property '{audiodev_id}' to object (type 'container')")
        self.audiodevs[audiodev_id] = options

    def _give_up(self, message: str) -> None:
        """End the program, because nothing can come of this machine."""
        _log.error("machine given up", reason=message)
        self.on_shutdown(ShutdownCause.HOST_ERROR.value)

    async def close(self) -> None:
        """Part with all media, then do what every daemon does at its end."""
        for close in self.on_close:
            await close()
        self.processor_threads.close()
        await self.migration.close()
        await self.devices.unplugging.close()
        await self.drives.close()
        await super().close()

    def shut_down(self, cause: str) -> None:
        """Tell that the machine is shut down, and end the server."""
        self.state.shut_down(ShutdownCause(cause))
