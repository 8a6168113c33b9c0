"""A device as its drive sees it, and a machine with drives."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from qmpserver.clock import ManualClock
from qmpserver.errors import DeviceNotFound
from qmpserver.machine.machine import Machine
from qmpserver.machine.media.drive import Drive
from qmpserver.schema.loader import load

SCHEMA = load(with_machine=True)
TURNS = 40


@dataclass
class FakeDevice:
    """A disk, unless something else is said."""

    qdev_path: str = "disk"
    drive_owner: str = "fake-disk"
    properties: dict[str, Any] = field(default_factory=dict)
    is_removable: bool = False
    has_tray: bool = False
    read_only: bool = False
    needs_writable: bool = False
    allows_resize: bool = True
    counts_held: bool = False
    has_io_status: bool = True

    @property
    def qom_path(self) -> str:
        return f"/machine/peripheral/{self.qdev_path}"


def cd(name: str = "cd") -> FakeDevice:
    """Return a CD-ROM drive."""
    return FakeDevice(name, is_removable=True, has_tray=True, read_only=True, allows_resize=False)


class Bench:
    """A machine, and the events it tells of."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.machine = Machine(SCHEMA, self.clock)
        self.drives = self.machine.drives
        self.drives.find_device = self._device
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.machine.events.subscribe(lambda event: self.events.append((event.name, event.data or {})))

    def _device(self, id_or_path: str) -> FakeDevice:
        """Find a device, none of which is in the machine's tree."""
        for drive in self.drives:
            if isinstance(drive.user, FakeDevice) and id_or_path in (
                drive.user.qdev_path,
                drive.user.qom_path,
            ):
                return drive.user
        raise DeviceNotFound(f"Device '{id_or_path}' not found")

    async def node(self, name: str, driver: str = "null-co", **options: Any) -> Any:
        """Open a node."""
        given = {key.replace("_", "-"): value for key, value in options.items()}
        size = {"size": 1 << 20, "read-zeroes": True} if driver == "null-co" else {}
        return await self.machine.blockdev_add({"driver": driver, "node-name": name, **size, **given})

    async def failing(self, name: str, *rules: dict[str, Any]) -> Any:
        """Open a node some of whose requests fail."""
        image = {"driver": "null-co", "size": 1 << 20, "read-zeroes": True}
        errors = [{"event": "none", **rule} for rule in rules]
        return await self.node(name, "blkdebug", image=image, inject_error=errors)

    async def disk(self, value: str, **properties: Any) -> Drive:
        """Give a new disk a drive."""
        named = {key.replace("_", "-"): given for key, given in properties.items()}
        return await self.attach(FakeDevice(properties=named), value)

    async def attach(self, device: FakeDevice, value: str | None = None) -> Drive:
        """Give a device a drive."""
        async with self.machine.graph.lock:
            return await self.drives.attach(device, value)

    async def add_legacy(self, given: dict[str, str], *, active: bool = True) -> Drive:
        """Make a drive of what ``-drive`` says."""
        async with self.machine.graph.lock:
            return await self.drives.add_legacy(given, active=active)

    async def turns(self) -> None:
        """Let everything go on until it waits for something."""
        for _ in range(TURNS):
            await asyncio.sleep(0)

    def named(self, event: str) -> list[dict[str, Any]]:
        """Return what was told of each event of a name."""
        return [data for name, data in self.events if name == event]


def on_bench(scenario: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Make a test of what is done on a new machine, which is closed afterwards; that comes first among its arguments."""

    def test(**given: Any) -> None:
        async def main() -> None:
            bench = Bench()
            try:
                await scenario(bench, **given)
            finally:
                await bench.machine.close()

        asyncio.run(asyncio.wait_for(main(), 20))

    test.__doc__ = scenario.__doc__
    signature = inspect.signature(scenario)
    asked_for = [*signature.parameters.values()][1:]
    test.__signature__ = signature.replace(parameters=asked_for)  # type: ignore[attr-defined]
    return test
