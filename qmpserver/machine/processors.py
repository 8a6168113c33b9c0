"""Say where processors are in a machine, and give each a thread for clients to look at."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from qmpserver.machine.config import Topology


@dataclass(frozen=True, slots=True)
class Place:
    """A place for a processor.

    Attributes:
        index: Its number.
        ids: Which node, socket, die and so on it is in, as far as there is more than one.
    """

    index: int
    ids: dict[str, int]

    def to_wire(self) -> dict[str, int]:
        """Shape it as ``CpuInstanceProperties``."""
        return {f"{name}-id": number for name, number in self.ids.items()}


class ProcessorThreads:
    """One idle thread for each processor, since clients bind them to processors of the host and look how they fare.

    QEMU: its processors have such threads too where nothing runs a guest (`-accel qtest`).
    """

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._end = threading.Event()

    def thread_id(self, index: int) -> int:
        """Return the host's number of a processor's thread; it is started when it is first asked for."""
        while len(self._threads) <= index:
            thread = threading.Thread(target=self._end.wait, name=f"CPU {len(self._threads)}", daemon=True)
            thread.start()
            self._threads.append(thread)
        native_id = self._threads[index].native_id
        assert native_id is not None
        return native_id

    def close(self) -> None:
        """End the threads."""
        self._end.set()
        for thread in self._threads:
            thread.join()


def path_of(index: int) -> str:
    """Return the path of the object of a processor; after the first one QEMU makes another device."""
    return f"/machine/unattached/device[{index + 1 if index else 0}]"


def places(topology: Topology, *, has_nodes: bool) -> list[Place]:
    """List the places.

    Args:
        topology: How they are arranged.
        has_nodes: There is a NUMA node, as there is once memory can be added.
    """
    return list(_places(topology, has_nodes))


def _places(topology: Topology, has_nodes: bool) -> Iterator[Place]:
    counts = {
        "socket": topology.sockets,
        "die": topology.dies,
        "module": topology.modules,
        "core": topology.cores,
        "thread": topology.threads,
    }
    always = {"socket", "core", "thread"}
    for index, numbers in enumerate(product(*map(range, counts.values()))):
        if index == topology.max_cpus:
            return
        ids = {"node": 0} if has_nodes else {}
        for (name, count), number in zip(counts.items(), numbers, strict=True):
            if count > 1 or name in always:
                ids[name] = number
        yield Place(index, ids)
