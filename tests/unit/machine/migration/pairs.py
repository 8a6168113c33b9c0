"""Two machines over the same images, one of which hands itself over to the other."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any, Self

from qmpserver.clock import ManualClock
from qmpserver.events import Event
from qmpserver.machine.config import MachineConfig
from qmpserver.machine.machine import Machine
from qmpserver.schema.loader import load
from qmpserver.server import Server
from qmpserver.units import KiB
from tests.images import make_qcow2

SCHEMA = load(with_machine=True)
SIZE = 256 * KiB
GONE, COMING = MachineConfig(), MachineConfig(incoming="defer")


class Side:
    """One machine, and what it told.

    Args:
        config: What it is.
    """

    def __init__(self, config: MachineConfig) -> None:
        self.machine = Machine(SCHEMA, ManualClock(), config)
        self.server = Server(daemon=self.machine)
        self.told: list[str] = []
        self.given_up: list[str] = []
        self._news = asyncio.Event()
        self.machine.events.subscribe(self._hear)
        self.machine.handover.on_given_up = self.given_up.append

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.server.close()

    def _hear(self, event: Event) -> None:
        if event.name in ("STOP", "RESUME", "MIGRATION"):
            self.told.append((event.data or {}).get("status", event.name))
            self._news.set()

    async def until(self, word: str) -> list[str]:
        """Wait until a status, or an event, was told; return all that was told up to it, and forget it."""
        while word not in self.told:
            self._news.clear()
            await self._news.wait()
        end = self.told.index(word) + 1
        told, self.told = self.told[:end], self.told[end:]
        return told

    async def do(self, command: str, **arguments: Any) -> Any:
        """Carry out a command."""
        return await self.server.execute(
            command, {name.replace("_", "-"): value for name, value in arguments.items()} or None
        )

    async def switch(self, *names: str) -> None:
        """Switch capabilities on."""
        wanted = [{"capability": name, "state": True} for name in names]
        await self.do("migrate-set-capabilities", capabilities=wanted)

    async def open_disk(self, image: Path, node_name: str = "disk") -> None:
        """Have a disk over an image."""
        file = {"driver": "file", "node-name": f"{node_name}-file", "filename": str(image)}
        await self.do("blockdev-add", driver="qcow2", node_name=node_name, file=file)
        await self.machine.devices.add(
            {"driver": "virtio-blk-pci", "drive": node_name, "id": f"{node_name}-device", "share-rw": True}
        )

    async def write(self, byte: bytes, offset: int = 0, length: int = SIZE) -> None:
        """Write to the disk, which has to be active, as a device would."""
        async with self.server.backend("disk", writable=True) as backend:
            await backend.pwrite(offset, memoryview(byte * length))

    async def read(self) -> bytes:
        """Return the disk's contents."""
        into = bytearray(SIZE)
        async with self.server.backend("disk") as backend:
            await backend.pread(0, memoryview(into))
        return bytes(into)

    async def active(self) -> set[bool]:
        """Say which of active and inactive there are among the nodes."""
        return {node["active"] for node in await self.do("query-named-block-nodes", flat=True)}

    async def status(self) -> str:
        """Return the run state."""
        status: str = (await self.do("query-status"))["status"]
        return status

    async def migration(self) -> tuple[str, str | None]:
        """Return the status of the migration, and what went wrong."""
        shown = await self.do("query-migrate")
        return shown.get("status", "none"), shown.get("error-desc")

    async def bitmaps(self) -> dict[str, tuple[int, bool, bool, bool]]:
        """Return the disk's bitmaps: bytes marked, and whether they record, are persistent and busy."""
        nodes = await self.do("query-named-block-nodes", flat=True)
        (disk,) = [node for node in nodes if node["node-name"] == "disk"]
        return {
            one["name"]: (one["count"], one["recording"], one["persistent"], one["busy"])
            for one in disk.get("dirty-bitmaps", ())
        }


class Pair:
    """A machine that runs, and one that is to take its place.

    Attributes:
        source: The one that runs.
        target: The other one.
        folder: Where their files are.
    """

    def __init__(self, source: Side, target: Side, folder: Path) -> None:
        self.source = source
        self.target = target
        self.folder = folder

    @property
    def uri(self) -> str:
        """A socket for the state to go through."""
        return f"unix:{self.folder / 'migration'}"

    async def hand_over(self) -> None:
        """Do all of it."""
        await self.target.do("migrate-incoming", uri=self.uri)
        await self.source.do("migrate", uri=self.uri)
        await self.source.until("completed")
        await self.target.until("completed")


Scenario = Callable[[Pair], Coroutine[Any, Any, None]]


def on_pair(scenario: Scenario) -> Callable[[Path], None]:
    """Make a test of a scenario on a pair with one disk full of ones; both tell of migration."""

    @wraps(scenario)
    def test(tmp_path: Path) -> None:
        async def main() -> None:
            image = make_qcow2(tmp_path / "disk.qcow2", str(SIZE))
            async with asyncio.timeout(20), Side(GONE) as source, Side(COMING) as target:
                await source.open_disk(image)
                await source.write(b"1")
                await target.open_disk(image)
                for side in (source, target):
                    await side.switch("events")
                await source.do("cont")
                await source.until("RESUME")
                await scenario(Pair(source, target, tmp_path))

        asyncio.run(main())

    # pytest looks at the signature of what it calls.
    del test.__wrapped__
    return test
