"""An image that was guessed to be raw does not come to begin like another format's."""

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from qmpserver.block import at_once, copy_range
from qmpserver.block.backend import BlockBackend
from qmpserver.block.head_guard import GUARDED
from qmpserver.block.node import Node
from qmpserver.clock import ManualClock
from qmpserver.driver_api.permissions import PERM_ALL, Permission, PermissionSet
from qmpserver.drivers.file import in_place
from qmpserver.drivers.file.space import file_system_magic
from qmpserver.engine import Engine
from qmpserver.schema.loader import load

SIZE = 4096
MAGIC = b"QFI\xfb\0\0\0\3"
WRITING = PermissionSet(Permission.CONSISTENT_READ | Permission.WRITE, PERM_ALL)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    path.write_bytes(bytes(SIZE))
    return path


@contextlib.asynccontextmanager
async def opened(image: Path, **options: str) -> AsyncIterator[Node]:
    engine = Engine(load, ManualClock())
    backend = BlockBackend(engine.graph)
    async with engine.graph.lock:
        file = {"driver": "file", "filename": str(image)}
        await backend.insert(await engine.opener.open_unowned({**options, "file": file}), WRITING)
    try:
        yield backend.node
    finally:
        async with engine.graph.lock:
            await backend.remove()
        await engine.close()


def test_a_header_of_another_format_is_not_written(image: Path) -> None:
    async def main() -> None:
        async with opened(image) as node:
            for offset, data in ((0, MAGIC), (0, MAGIC + bytes(SIZE - len(MAGIC)))):
                with pytest.raises(PermissionError):
                    await node.pwrite(offset, memoryview(data))
            with pytest.raises(PermissionError):
                await node.pwritev(0, [memoryview(MAGIC[:4]), memoryview(MAGIC[4:])])

    asyncio.run(main())
    assert image.read_bytes() == bytes(SIZE)


def test_it_cannot_be_put_together_of_parts(image: Path) -> None:
    async def write(node: Node, offset: int, data: bytes) -> int:
        try:
            await node.pwrite(offset, memoryview(data))
        except OSError as error:
            return error.errno or 0
        return 0

    async def main() -> list[int]:
        async with opened(image) as node:
            return await asyncio.gather(*(write(node, at, MAGIC[at : at + 1]) for at in range(len(MAGIC))))

    assert errno.EPERM in asyncio.run(main())
    assert image.read_bytes()[: len(MAGIC)] != MAGIC


def test_it_is_not_written_at_once_either(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with image.open("rb") as file:
        monkeypatch.setattr(in_place, "_LOCAL", frozenset((file_system_magic(file.fileno()),)))

    async def main() -> None:
        async with opened(image) as node:
            for offset in (0, GUARDED - 1):
                assert not at_once.write(node, offset, memoryview(MAGIC))
            assert at_once.write(node, GUARDED, memoryview(MAGIC))

    asyncio.run(main())
    assert image.read_bytes() == bytes(GUARDED) + MAGIC + bytes(SIZE - GUARDED - len(MAGIC))


def test_zeroes_do_not_complete_a_header_either(image: Path) -> None:
    # Of the version, which is 1, one byte is not zero yet.
    head = b"LUKS\xba\xbe\xff\1"

    async def main() -> None:
        async with opened(image, discard="unmap") as node:
            await node.pwrite(0, memoryview(head))
            for request in (node.pwrite_zeroes(6, 1), node.pdiscard(6, 1)):
                with pytest.raises(PermissionError):
                    await request
            await node.pwrite_zeroes(7, 1)
            await node.pdiscard(0, SIZE)

    asyncio.run(main())
    assert image.read_bytes() == bytes(SIZE)


def test_all_else_is_written(image: Path) -> None:
    async def main() -> None:
        async with opened(image) as node:
            await node.pwrite(0, memoryview(b"x" * 600))
            await node.pwrite(100, memoryview(MAGIC))
            await node.pwrite(512, memoryview(MAGIC))
            await node.pwrite_zeroes(0, 50)

    asyncio.run(main())
    written = image.read_bytes()
    assert written[:108] == bytes(50) + b"x" * 50 + MAGIC
    assert written[508:520] == b"xxxx" + MAGIC


def test_who_names_the_format_may_write_what_he_likes(image: Path) -> None:
    async def main() -> None:
        async with opened(image, driver="raw") as node:
            await node.pwrite(0, memoryview(MAGIC))

    asyncio.run(main())
    assert image.read_bytes() == MAGIC + bytes(SIZE - len(MAGIC))


def test_the_host_copies_nothing_to_the_beginning_by_itself(image: Path, tmp_path: Path) -> None:
    source_path = tmp_path / "source"
    source_path.write_bytes(MAGIC + bytes(SIZE - len(MAGIC)))

    async def main() -> None:
        async with opened(source_path, driver="raw") as source, opened(image) as target:
            assert await copy_range.copy_between(source, target, 0, SIZE) == 0

    asyncio.run(main())
    assert image.read_bytes() == bytes(SIZE)
