"""Streams through layers of every shape: sizes that fit no cluster, clusters of 512 bytes over 2 MiB, version 2."""

import asyncio
import contextlib
import random
from pathlib import Path
from typing import Any

import pytest

from qmpserver.server import Server
from qmpserver.units import KiB, MiB
from tests.images import judge

CLUSTER_SIZES = (512, 4 * KiB, 64 * KiB, 2 * MiB)
LARGEST = 3 * MiB


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _size(dice: random.Random) -> int:
    return dice.choice((512, 1024 * 63 + 512, MiB, 2 * MiB + 1536, LARGEST))


class _Layers:
    """A chain of images, and what reading its top must give."""

    def __init__(self, server: Server, dice: random.Random) -> None:
        self.server = server
        self.dice = dice
        self.model = bytearray()
        self.names: list[str] = []

    async def add_raw_base(self, length: int) -> None:
        """Begin with a raw file, of any length; QEMU rounds it up to whole sectors."""
        data = self.dice.randbytes(length)
        _write("base.raw", data)
        file = {"driver": "file", "filename": "base.raw"}
        await self._open({"driver": "raw", "node-name": "base", "file": file, "read-only": True})
        self.model[:] = data + bytes(-length % 512)

    async def add(self, size: int) -> None:
        """Put a layer of some shape on top, and write here and there."""
        name = f"l{len(self.names)}"
        shape: dict[str, Any] = {
            "cluster_size": self.dice.choice(CLUSTER_SIZES),
            "version": self.dice.choice(("v2", "v3", "v3")),
        }
        await self.server.create_image(f"{name}.qcow2", "qcow2", size, **shape)
        file = {"driver": "file", "filename": f"{name}.qcow2", "discard": "unmap"}
        options = {"driver": "qcow2", "node-name": name, "file": file, "discard": "unmap"}
        options["detect-zeroes"] = self.dice.choice(("off", "on", "unmap"))
        await self._open(options | ({"backing": self.names[-1]} if self.names else {}))
        self.model[size:] = b""
        self.model.extend(bytes(size - len(self.model)))
        async with self.server.backend(name, writable=True) as backend:
            for _ in range(self.dice.randrange(6)):
                await self.write(backend)

    async def _open(self, options: dict[str, Any]) -> None:
        await self.server.execute("blockdev-add", options)
        self.names.append(options["node-name"])

    def _place(self) -> tuple[int, int]:
        size = len(self.model)
        offset = self.dice.choice((0, self.dice.randrange(size), max(size - self.dice.randrange(1, 2000), 0)))
        return offset, min(self.dice.choice((1, 511, 4096, 70_000, MiB)), size - offset)

    async def write(self, backend: Any) -> None:
        """Write data or zeroes somewhere, often at the end."""
        offset, length = self._place()
        data = self.dice.randbytes(length) if self.dice.random() < 0.7 else bytes(length)
        self.model[offset : offset + length] = data
        await backend.pwrite(offset, memoryview(data))

    async def read(self, backend: Any) -> None:
        """Read somewhere, and compare."""
        offset, length = self._place()
        found = bytearray(length)
        await backend.pread(offset, memoryview(found))
        assert found == self.model[offset : offset + length], (offset, length)

    async def stream(self) -> None:
        """Stream into the top while it is read and written."""
        below = self.dice.choice(self.names[:-1])
        arguments = {"job-id": "j", "device": self.names[-1], "speed": 512 * KiB * self.dice.randrange(2)}
        async with self.server.backend(self.names[-1], writable=True) as backend:
            await self.server.execute(
                "block-stream", arguments | self.dice.choice(({}, {"base-node": below}))
            )
            for _ in range(12):
                await self.dice.choice((self.read, self.write))(backend)
                await asyncio.sleep(0)
            await self._finish()
            found = bytearray(len(self.model))
            await backend.pread(0, memoryview(found))
            assert found == self.model

    async def _finish(self) -> None:
        job = self.server.daemon.jobs.get("j")
        if job is not None:
            with contextlib.suppress(Exception):
                await self.server.execute("block-job-set-speed", {"device": "j", "speed": 0})
            await job.ended.wait()
            assert job.error is None


async def _run(seed: int) -> list[str]:
    dice = random.Random(seed)
    async with asyncio.timeout(20), Server() as server:
        layers = _Layers(server, dice)
        if dice.random() < 0.5:
            await layers.add_raw_base(dice.choice((1000, 1, 512, 70_001)))
        for _ in range(dice.randrange(2, 5)):
            await layers.add(_size(dice))
        await layers.stream()
        return [f"{name}.qcow2" for name in layers.names if name != "base"]


def _write(name: str, data: bytes) -> None:
    Path(name).write_bytes(data)


@pytest.mark.parametrize("seeds", [range(8), range(8, 16), range(16, 24)])
def test_a_stream_through_layers_of_any_shape_keeps_every_byte(folder: Path, seeds: range) -> None:
    for seed in seeds:
        for name in asyncio.run(_run(seed)):
            verdict = judge((folder / name).read_bytes())
            assert verdict.corruptions == [], (seed, name)
            assert verdict.leaks == 0, (seed, name)
            (folder / name).unlink()
