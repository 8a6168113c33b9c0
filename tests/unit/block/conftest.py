"""An engine over drivers in memory."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from qmpserver.block.graph import Graph
from qmpserver.block.opener import Opener
from qmpserver.driver_api.registry import DriverRegistry
from tests.unit.block.memory_drivers import FILES, MemoryFormat

MODULE = "tests.unit.block.memory_drivers"
DRIVERS = {
    "file": f"{MODULE}:MemoryFile",
    "raw": f"{MODULE}:MemoryFormat",
    "copy-on-read": f"{MODULE}:MemoryFilter",
}


class Engine:
    """A graph, an opener, and the corruption reports it received."""

    def __init__(self, drivers: dict[str, str] = DRIVERS) -> None:
        self.graph = Graph()
        self.reports: list[tuple[Any, ...]] = []
        registry = DriverRegistry(drivers)
        self.gated: list[str] = []
        self.opener = Opener(
            self.graph,
            registry,
            lambda options: options,
            lambda *report: self.reports.append(report),
            gate=self.gated.append,
        )

    async def add(self, name: str, filename: str, **options: Any) -> Any:
        """Open a format node over a file."""
        FILES.setdefault(filename, bytearray())
        file = {"driver": "file", "filename": filename, "node-name": f"{name}-file"}
        return await self.opener.open({"driver": "raw", "node-name": name, "file": file, **options})


@pytest.fixture
def make_engine() -> Iterator[Callable[[], Engine]]:
    """Return a maker of engines; files and tables are forgotten afterwards."""
    FILES.clear()
    MemoryFormat.images.clear()
    yield Engine
    FILES.clear()
    MemoryFormat.images.clear()
