"""Random work with snapshots in between, and the power cut at any instant."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from qmpserver.driver_api.extras import SnapshotInfo
from qmpserver.drivers.qcow2.driver import Qcow2Driver
from tests.contract.engine import Engine, MemoryFile
from tests.images import qemu_check
from tests.unit.drivers.qcow2.test_power_cuts import SIZE, Workload, check_cut

IMAGES: list[dict[str, Any]] = [
    {"cluster-size": 512},
    {"cluster-size": 1024, "version": "v2"},
    {"cluster-size": 4096, "refcount-bits": 64},
    {"cluster-size": 4096, "backing-file": "base", "backing-fmt": "raw"},
]


class SnapshotWorkload(Workload):
    """Random guest requests, with snapshots taken, applied and deleted."""

    def __init__(self, file: MemoryFile, backing: MemoryFile | None, guest: bytes, seed: int) -> None:
        super().__init__(file, backing, guest, seed)
        self.kept: dict[str, bytes] = {}

    async def _request(self, engine: Engine) -> None:
        driver, chance = engine.driver, self.rng.random()
        assert isinstance(driver, Qcow2Driver)
        if chance < 0.06:
            content = await engine.read(0, self.size)
            await self.flush(lambda: self._create(driver, content))
        elif chance < 0.12 and self.kept:
            wanted = self.rng.choice(list(self.kept))
            self.model.change(len(self.file.log), 0, self.kept[wanted])
            await self.flush(lambda: driver.apply_snapshot(wanted, None))
        elif chance < 0.18 and self.kept:
            unwanted = self.rng.choice(list(self.kept))
            del self.kept[unwanted]
            await self.flush(lambda: driver.delete_snapshot(unwanted, None))
        else:
            await super()._request(engine)

    async def _create(self, driver: Qcow2Driver, content: bytes) -> None:
        taken = await driver.create_snapshot(SnapshotInfo("", "taken"))
        self.kept[taken.snapshot_id] = content


async def campaign(seed: int, options: dict[str, Any], cuts: int) -> list[bytearray]:
    """Run one random workload on a new image, and judge what is left after so many power cuts."""
    rng = random.Random(seed)
    backing = MemoryFile(rng.randbytes(SIZE)) if "backing-file" in options else None
    file = MemoryFile()
    await Qcow2Driver.create(file, {"size": SIZE, **options})
    file.log.clear()
    file.yields = rng.random() < 0.7
    work = SnapshotWorkload(file, backing, bytes(backing.data) if backing else bytes(SIZE), seed)
    await work.run(50)
    return [await check_cut(work, rng) for _ in range(cuts)]


@pytest.mark.parametrize("options", IMAGES, ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_flushed_data_survives_with_snapshots_too(seed: int, options: dict[str, Any]) -> None:
    asyncio.run(campaign(seed, options, cuts=15))


@pytest.mark.parametrize("options", IMAGES[:3], ids=str)
def test_qemu_finds_leaks_at_most(tmp_path: Path, options: dict[str, Any]) -> None:
    image = tmp_path / "image.qcow2"
    for state in asyncio.run(campaign(50, options, cuts=10)):
        image.write_bytes(state)
        assert not {"corruptions", "check-errors"} & qemu_check(image).keys()
