"""An image is handed from one server to another and back, and neither loses what the other wrote."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from qmpserver.errors import QMPError
from qmpserver.server import Server

SIZE = 1 << 20


@contextlib.asynccontextmanager
async def serving(path: Path, **options: Any) -> AsyncIterator[Server]:
    async with Server() as server:
        file = {"driver": "file", "filename": str(path), "node-name": "file"}
        await server.execute("blockdev-add", {"driver": "qcow2", "node-name": "n", "file": file, **options})
        yield server


async def switch(server: Server, *, active: bool) -> None:
    await server.execute("blockdev-set-active", {"node-name": "n", "active": active})


async def write(server: Server, offset: int, data: bytes) -> None:
    async with server.backend("n", writable=True) as backend:
        await backend.pwrite(offset, memoryview(data))


async def read(server: Server, offset: int, length: int) -> bytes:
    buffer = bytearray(length)
    async with server.backend("n") as backend:
        await backend.pread(offset, memoryview(buffer))
    return bytes(buffer)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "n.qcow2"

    async def make() -> None:
        async with Server() as server:
            await server.create_image(str(path), "qcow2", SIZE)

    asyncio.run(make())
    return path


def test_each_sees_what_the_other_wrote(image: Path) -> None:
    async def scenario() -> None:
        async with serving(image) as one, serving(image, active=False) as other:
            for turn in range(3):
                await write(one, turn * 131072, b"one")
                await switch(one, active=False)
                await switch(other, active=True)
                assert await read(other, turn * 131072, 3) == b"one"
                await write(other, turn * 131072 + 65536, b"other")
                await switch(other, active=False)
                await switch(one, active=True)
                assert await read(one, turn * 131072 + 65536, 5) == b"other"

    asyncio.run(scenario())


def test_two_cannot_be_active_at_once(image: Path) -> None:
    async def scenario() -> None:
        async with serving(image) as one, serving(image, active=False) as other:
            with pytest.raises(QMPError, match="lock"):
                await switch(other, active=True)
            assert not other.daemon.graph.find("n").is_active
            await write(one, 0, b"still")
            assert await read(one, 0, 5) == b"still"

    asyncio.run(scenario())


def test_an_inactive_node_takes_no_writes(image: Path) -> None:
    async def scenario() -> None:
        async with serving(image, backing={"driver": "null-co", "size": SIZE}) as server:
            await switch(server, active=False)
            with pytest.raises(QMPError, match="Permission 'write' unavailable on inactive node"):
                await write(server, 0, b"x")
            with pytest.raises(OSError, match="not permitted"):
                await server.daemon.graph.find("n").pwrite(0, memoryview(b"x"))
            names = {"device": "n", "image-node-name": "n", "backing-file": "x"}
            with pytest.raises(QMPError, match="is inactive"):
                await server.execute("change-backing-file", names)

    before = image.read_bytes()
    asyncio.run(scenario())
    assert image.read_bytes() == before


def test_one_in_use_stays_active(image: Path) -> None:
    async def scenario() -> None:
        async with serving(image) as server:
            async with server.backend("n", writable=True) as backend:
                for arguments in ({"node-name": "n", "active": False}, {"active": False}):
                    with pytest.raises(QMPError, match=r"active parent|not permitted"):
                        await server.execute("blockdev-set-active", arguments)
                await backend.pwrite(0, memoryview(b"data"))
            await server.execute("blockdev-set-active", {"active": False})
            await server.execute("blockdev-set-active", {"active": True})
            assert await read(server, 0, 4) == b"data"

    asyncio.run(scenario())


def test_an_image_that_was_spoilt_meanwhile_is_not_taken_up(image: Path) -> None:
    whole = image.read_bytes()

    async def scenario() -> None:
        async with serving(image, active=False) as server:
            image.write_bytes(b"no image" + whole[8:])  # noqa: ASYNC240 - a small file
            with pytest.raises(QMPError, match="not in qcow2 format"):
                await switch(server, active=True)
            image.write_bytes(whole)  # noqa: ASYNC240 - a small file
            await switch(server, active=True)
            await write(server, 0, b"data")
            assert await read(server, 0, 4) == b"data"

    asyncio.run(scenario())


def test_what_was_opened_inactive_is_written_once_it_is_active(image: Path) -> None:
    async def main() -> None:
        file = {"driver": "file", "filename": str(image), "node-name": "file", "active": False}
        async with serving(image, active=False, file=file) as server:
            await switch(server, active=True)
            await write(server, 0, b"x")
        async with serving(image) as server:
            assert await read(server, 0, 1) == b"x"

    asyncio.run(main())
