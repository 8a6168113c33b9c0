"""Hold what a command line says of a machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from qmpserver.machine.boards import Board, default_board
from qmpserver.machine.cpu_models import SUFFIX
from qmpserver.machine.run_state import Actions

NO_UUID = UUID(int=0)
"""The identity of a machine that was given none."""


@dataclass(frozen=True, slots=True)
class Topology:
    """How the processors are arranged.

    Attributes:
        cpus: Those that there are.
        max_cpus: Those that there is room for.
        sockets: Sockets, each of which has `dies`, and so on down to `threads`.
    """

    cpus: int = 1
    max_cpus: int = 1
    sockets: int = 1
    dies: int = 1
    clusters: int = 1
    modules: int = 1
    cores: int = 1
    threads: int = 1

    def to_wire(self) -> dict[str, int]:
        """Shape it as ``SMPConfiguration``."""
        return {
            "cpus": self.cpus,
            "maxcpus": self.max_cpus,
            "sockets": self.sockets,
            "dies": self.dies,
            "clusters": self.clusters,
            "modules": self.modules,
            "cores": self.cores,
            "threads": self.threads,
            "drawers": 1,
            "books": 1,
        }


@dataclass(frozen=True, slots=True)
class Memory:
    """How much memory there would be.

    Attributes:
        size: Bytes.
        slots: Places for more.
        max_size: Bytes that there is room for, those of `size` included.
        backend: The id of the object that the memory is of, or None.
        is_given: Somebody has said how much, so that the object must have as much.
    """

    size: int = 128 << 20
    slots: int = 0
    max_size: int | None = None
    backend: str | None = None
    is_given: bool = False


@dataclass(frozen=True, slots=True)
class MachineConfig:
    """What a machine is to be.

    Attributes:
        name: Its name, or None.
        uuid: Its identity; all zeroes when none was given.
        board: What it is built on.
        board_options: What else was said of the board, as written.
        accelerator: What it says would run its guest.
        cpu_model: The model of its processors, or None when it has none.
        topology: Their number.
        memory: Its memory.
        starts_paused: It does not run before it is told to.
        incoming: Where it is to be migrated from, or None.
        actions: What follows on a shutdown and so on.
        display: Where its screen would be shown.
        unplug_delay_ns: How long a PCI device takes to go; QEMU asks its guest, and here is none.
        settings: Properties that devices of some type get, in order: type, property, value.
        recorded: Every option that has no effect here, as written, by name.
    """

    name: str | None = None
    uuid: UUID = NO_UUID
    board: Board = field(default_factory=default_board)
    board_options: Mapping[str, str] = field(default_factory=dict)
    accelerator: str = "tcg"
    cpu_model: str | None = "qemu64"
    topology: Topology = Topology()
    memory: Memory = Memory()
    starts_paused: bool = False
    incoming: str | None = None
    actions: Actions = field(default_factory=Actions)
    display: str = "none"
    unplug_delay_ns: int = 0
    settings: tuple[tuple[str, str, str], ...] = ()
    recorded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def cpu_type(self) -> str | None:
        """The type of its processors, or None when it has none."""
        return None if self.cpu_model is None else f"{self.cpu_model}{SUFFIX}"

    @property
    def machine_type(self) -> str:
        """The name of the board."""
        return self.board.name
