"""Whatever kind of image it is, requests carried out at once leave the same as all others."""

import asyncio
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from qmpserver.block.backend import BlockBackend
from qmpserver.drivers.file import in_place
from qmpserver.drivers.file.space import file_system_magic
from qmpserver.server import Server
from tests.images import qemu_img

SIZE = 1 << 20
WRITTEN = SIZE // 2
SECRET = {"qom-type": "secret", "id": "s", "data": "verysecret"}
LUKS = {"format": "luks", "key-secret": "s", "iter-time": 10, "cipher-alg": "aes-128"}
AES = {"format": "qcow", "key-secret": "s"}


@dataclass
class Work:
    """Random requests to an image, beside a model of what it holds.

    Attributes:
        backend: Whose requests they are.
        model: What the image holds.
        at_once: How many were carried out at once.
    """

    backend: BlockBackend
    model: bytearray = field(default_factory=lambda: bytearray(SIZE))
    at_once: int = 0

    async def write(self, offset: int, data: bytes) -> None:
        with memoryview(data) as view:
            if self.backend.pwrite_at_once(offset, view):
                self.at_once += 1
            else:
                await self.backend.pwrite(offset, view)
        self.model[offset : offset + len(data)] = data

    async def check(self, offset: int, length: int) -> None:
        into = bytearray(length)
        with memoryview(into) as view:
            if self.backend.pread_at_once(offset, view):
                self.at_once += 1
            else:
                await self.backend.pread(offset, view)
        assert into == self.model[offset : offset + length], (offset, length)

    async def make_requests(self, number: int) -> None:
        chance = random.Random(number)
        for _ in range(number):
            offset, length = chance.randrange(SIZE - 8192), chance.randrange(1, 8192)
            if chance.random() < 0.5:
                await self.write(offset, chance.randbytes(length))
            else:
                await self.check(offset, length)


@pytest.mark.parametrize(
    ("created", "opened", "snapshot"),
    [
        ({}, {}, False),
        ({}, {}, True),
        ({"extended_l2": True}, {}, False),
        ({"encrypt": LUKS}, {"encrypt": {"format": "luks", "key-secret": "s"}}, False),
        ({"encrypt": AES}, {"encrypt": {"format": "aes", "key-secret": "s"}}, False),
    ],
    ids=["plain", "snapshot", "extended-l2", "luks", "aes"],
)
def test_requests_at_once_agree_with_a_model(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    created: dict[str, Any],
    opened: dict[str, Any],
    snapshot: bool,
) -> None:
    image = tmp_path / "image"
    node = {"driver": "qcow2", "node-name": "n", "file": {"driver": "file", "filename": str(image)}, **opened}
    first = random.Random(0).randbytes(WRITTEN)

    async def main() -> None:
        async with Server() as server:
            await server.execute("object-add", SECRET)
            await server.create_image(str(image), "qcow2", SIZE, **created)
            with image.open("rb") as file:
                monkeypatch.setattr(in_place, "_LOCAL", frozenset((file_system_magic(file.fileno()),)))
            await server.execute("blockdev-add", node)
            async with server.backend("n", writable=True) as backend:
                work = Work(backend)
                await work.write(0, first)
                if snapshot:
                    await server.execute("blockdev-snapshot-internal-sync", {"device": "n", "name": "then"})
                await work.make_requests(200)
                assert bool(work.at_once) is (not created)
            await server.execute("blockdev-del", {"node-name": "n"})
            await server.execute("blockdev-add", node)
            async with server.backend("n") as backend:
                await Work(backend, work.model).check(0, SIZE)

    asyncio.run(main())
    if snapshot:
        qemu_img("convert", "-l", "then", "-O", "raw", image, tmp_path / "then")
        assert (tmp_path / "then").read_bytes() == first + bytes(SIZE - WRITTEN)
