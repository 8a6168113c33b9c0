"""Snapshots of a machine's images hold the machine as well, and it stands still while they are taken or applied."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from qmpserver.clock import ManualClock
from qmpserver.machine.config import MachineConfig, Memory
from qmpserver.machine.machine import Machine
from qmpserver.schema.loader import load
from qmpserver.server import Server
from tests.images import make_qcow2

SCHEMA = load(with_machine=True)
WHAT = {"job-id": "j", "vmstate": "disk", "devices": ["disk"]}

ADVICE = "Make sure that your current VM setup matches your saved VM setup, including any hotplugged devices"


class Bench:
    """A machine with a disk and a tray.

    Attributes:
        machine: The machine.
        server: Its server.
        told: The events that were told of its running.
    """

    def __init__(self, machine: Machine, server: Server) -> None:
        self.machine = machine
        self.server = server
        self.told: list[str] = []
        machine.events.subscribe(
            lambda event: self.told.append(event.name) if event.name in ("STOP", "RESUME") else None
        )

    async def job(self, command: str, tag: str, **arguments: Any) -> str | None:
        """Run a job on snapshots, and return its error."""
        await self.server.execute(command, {**WHAT, "tag": tag, **arguments})
        await self.machine.jobs.find("j").ended.wait()
        (info,) = await self.server.execute("query-jobs")
        await self.server.execute("job-dismiss", {"id": "j"})
        error: str | None = info.get("error")
        return error

    @property
    def is_tray_open(self) -> bool:
        """Whether the tray is open."""
        return self.machine.drives.find(qdev_id="cd").is_tray_open

    @property
    def status(self) -> str:
        """The run state."""
        return self.machine.state.status.value


Scenario = Callable[[Bench], Coroutine[Any, Any, None]]


def on_machine(
    scenario: Scenario, image: Path, config: MachineConfig | None = None, *, has_tray: bool = True
) -> None:
    async def main() -> None:
        machine = Machine(SCHEMA, ManualClock(), config)
        async with asyncio.timeout(20), Server(daemon=machine) as server:
            file = {"driver": "file", "filename": str(image)}
            await server.execute("blockdev-add", {"driver": "qcow2", "node-name": "disk", "file": file})
            await machine.devices.add({"driver": "virtio-blk-pci", "drive": "disk"}, at_start=True)
            if has_tray:
                await machine.devices.add({"driver": "ide-cd", "id": "cd"}, at_start=True)
            await scenario(Bench(machine, server))

    asyncio.run(main())


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return make_qcow2(tmp_path / "disk.qcow2", "1M")


def test_a_tray_goes_back_with_the_images(image: Path) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.server.execute("blockdev-open-tray", {"id": "cd"})
        assert await bench.job("snapshot-save", "open") is None
        await bench.server.execute("blockdev-close-tray", {"id": "cd"})
        assert await bench.job("snapshot-load", "open") is None
        assert (bench.is_tray_open, bench.status, bench.told) == (True, "prelaunch", [])

    on_machine(scenario, image)


def test_a_machine_that_runs_stands_still_meanwhile(image: Path) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.server.execute("cont")
        bench.told.clear()
        for command in ("snapshot-save", "snapshot-load"):
            assert await bench.job(command, "tag") is None
            assert (bench.told, bench.status) == (["STOP", "RESUME"], "running")
            bench.told.clear()
        assert (
            await bench.job("snapshot-save", "tag") == "Snapshot 'tag' already exists in one or more devices"
        )
        assert (bench.told, bench.status) == ([], "running")

    on_machine(scenario, image)


def test_a_machine_that_cannot_be_taken_back_stays_stopped(image: Path) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.server.execute("cont")
        bench.told.clear()
        error = await bench.job("snapshot-load", "nix")
        assert error == "Snapshot 'nix' does not exist in one or more devices"
        assert (bench.told, bench.status) == (["STOP"], "restore-vm")
        await bench.server.execute("cont")
        assert bench.status == "running"

    on_machine(scenario, image)


@pytest.mark.parametrize(
    ("config", "has_tray", "error"),
    [
        (
            MachineConfig(memory=Memory(size=1 << 20)),
            True,
            "Size mismatch: pc.ram: 0x8000000 != 0x100000: Invalid argument",
        ),
        (
            None,
            False,
            f"Unknown section or instance 'ide-cd' 0. {ADVICE}",
        ),
    ],
)
def test_the_snapshot_of_another_machine_changes_nothing(
    config: MachineConfig | None, has_tray: bool, error: str, image: Path
) -> None:
    async def save(bench: Bench) -> None:
        assert await bench.job("snapshot-save", "tag") is None
        async with bench.server.backend("disk") as backend:
            assert backend.node.size == 1 << 20

    async def fail(bench: Bench) -> None:
        assert await bench.job("snapshot-load", "tag") == error

    on_machine(save, image)
    before = image.read_bytes()
    on_machine(fail, image, config, has_tray=has_tray)
    assert image.read_bytes() == before


def test_a_machine_does_not_begin_with_the_state_of_a_server_that_has_none(image: Path) -> None:
    async def main() -> None:
        async with Server() as server:
            file = {"driver": "file", "filename": str(image)}
            await server.execute("blockdev-add", {"driver": "qcow2", "node-name": "disk", "file": file})
            await server.execute("snapshot-save", {**WHAT, "tag": "tag"})
            await server.daemon.jobs.find("j").ended.wait()

    async def scenario(bench: Bench) -> None:
        error = await bench.job("snapshot-load", "tag")
        assert error == "The state is that of a server without a machine"

    asyncio.run(main())
    on_machine(scenario, image)
