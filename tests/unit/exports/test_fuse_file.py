"""A node as a file, without a kernel that asks: what is answered, and what becomes of the node."""

import asyncio
import errno
import os
import random
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from qmpserver.driver_api.flags import FUA
from qmpserver.driver_api.permissions import PERM_ALL, Permission, PermissionSet
from qmpserver.exports.fuse_file import KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE, FuseFile
from qmpserver.server import Server

SIZE = 1 << 20
Body = Callable[[Server, FuseFile], Coroutine[Any, Any, None]]


def play(folder: Path, body: Body, *, driver: str = "raw", writable: bool = True, **how: bool) -> None:
    """Run `body` on a node with a pattern in its first 64 KiB, shown as a file."""
    image = folder / "image"

    async def main() -> None:
        async with asyncio.timeout(20), Server() as server:
            if driver == "qcow2":
                await server.create_image(str(image), driver, SIZE)
            else:
                image.touch()
                os.truncate(image, SIZE)
            file = {"driver": "file", "filename": str(image)}
            await server.execute("blockdev-add", {"driver": driver, "node-name": "n", "file": file})
            async with server.backend("n", writable=writable) as backend:
                if writable:
                    await backend.pwrite(0, memoryview(b"p" * 65536))
                graph, clock = server.daemon.graph, server.daemon.clock
                await body(
                    server, FuseFile(backend, graph, clock, writable=writable, **{"growable": False, **how})
                )

    asyncio.run(main())


async def refused(request: Awaitable[object]) -> int | None:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - its number is what is looked at
        await request
    return caught.value.errno


def test_reads_end_where_the_file_ends(tmp_path: Path) -> None:
    async def body(_: Server, file: FuseFile) -> None:
        assert await file.read(65534, 4) == b"pp\0\0"
        assert len(await file.read(SIZE - 10, 4096)) == 10
        assert await file.read(SIZE + 10, 4096) == b""

    play(tmp_path, body)


def test_a_write_past_the_end_is_cut_off_unless_the_file_is_growable(tmp_path: Path) -> None:
    async def body(_: Server, file: FuseFile) -> None:
        assert await file.write(SIZE - 512, b"x" * 1024) == 512
        assert await file.write(SIZE + 512, b"x") == 0
        assert file.size == SIZE

    async def grows(_: Server, file: FuseFile) -> None:
        assert await file.write(SIZE + 512, b"x" * 512) == 512
        assert file.size == SIZE + 1024
        assert await file.read(SIZE, 1024) == bytes(512) + b"x" * 512

    play(tmp_path, body)
    play(tmp_path, grows, growable=True)


def test_writes_past_the_end_made_at_once_leave_the_longest(tmp_path: Path) -> None:
    async def body(_: Server, file: FuseFile) -> None:
        ends = [SIZE + 512 * at for at in random.Random(1).sample(range(1, 40), 20)]
        await asyncio.gather(*(file.write(end - 512, b"x" * 512) for end in ends))
        assert file.size == max(ends)
        for end in ends:
            assert await file.read(end - 512, 512) == b"x" * 512

    play(tmp_path, body, growable=True)


@pytest.mark.parametrize("driver", ["raw", "qcow2"])
def test_the_size_is_set_whether_or_not_the_file_is_growable(tmp_path: Path, driver: str) -> None:
    async def body(_: Server, file: FuseFile) -> None:
        await file.truncate(SIZE // 2)
        assert file.size == SIZE // 2
        await file.truncate(2 * SIZE)
        assert await file.read(SIZE, SIZE) == bytes(SIZE)
        # Opening it to be emptied is another matter: what has a fixed size keeps it.
        await file.empty()
        assert file.size == 2 * SIZE

    play(tmp_path, body, driver=driver)


def test_a_growable_file_can_be_emptied(tmp_path: Path) -> None:
    async def body(_: Server, file: FuseFile) -> None:
        await file.empty()
        assert file.size == 0
        assert (await file.attributes())["st_size"] == 0

    play(tmp_path, body, growable=True)


def test_nobody_resizes_what_another_user_wants_kept(tmp_path: Path) -> None:
    async def body(server: Server, file: FuseFile) -> None:
        server.daemon.graph.find("n").parents[0].permissions = PermissionSet(
            Permission.CONSISTENT_READ | Permission.WRITE, PERM_ALL & ~Permission.RESIZE
        )
        assert await refused(file.truncate(0)) == errno.EPERM
        assert file.size == SIZE

    play(tmp_path, body)


@pytest.mark.parametrize("mode", [PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE | KEEP_SIZE, ZERO_RANGE])
def test_a_range_is_made_zero(tmp_path: Path, mode: int) -> None:
    async def body(_: Server, file: FuseFile) -> None:
        await file.allocate(mode, 4096, 8192)
        assert await file.read(0, 16384) == b"p" * 4096 + bytes(8192) + b"p" * 4096
        await file.allocate(mode, SIZE - 512, 1024)
        assert file.size == SIZE + (0 if mode & KEEP_SIZE else 512)

    play(tmp_path, body)


def test_what_cannot_be_allocated_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async def body(_: Server, file: FuseFile) -> None:
        for mode in (KEEP_SIZE, PUNCH_HOLE, 0x08, 0x20):
            assert await refused(file.allocate(mode, 0, 512)) == errno.EOPNOTSUPP
        assert await refused(file.allocate(0, SIZE - 512, 1024)) == errno.EOPNOTSUPP
        assert await refused(file.allocate(PUNCH_HOLE | KEEP_SIZE, SIZE, 512)) == errno.EIO
        assert file.size == SIZE
        assert await file.read(0, 512) == b"p" * 512
        await file.allocate(0, SIZE, 512)
        assert file.size == SIZE + 512

    play(tmp_path, body)


@pytest.mark.parametrize("driver", ["raw", "qcow2"])
def test_data_and_holes_are_found(tmp_path: Path, driver: str) -> None:
    async def body(_: Server, file: FuseFile) -> None:
        await file.write(SIZE // 2, b"x" * 65536)
        assert await file.seek(0, os.SEEK_DATA) == 0
        assert await file.seek(0, os.SEEK_HOLE) == 65536
        assert await file.seek(65536, os.SEEK_DATA) == SIZE // 2
        assert await file.seek(SIZE // 2, os.SEEK_HOLE) == SIZE // 2 + 65536
        assert await refused(file.seek(SIZE // 2 + 65536, os.SEEK_DATA)) == errno.ENXIO
        assert await file.seek(SIZE, os.SEEK_HOLE) == SIZE
        assert await refused(file.seek(SIZE + 1, os.SEEK_HOLE)) == errno.ENXIO

    play(tmp_path, body, driver=driver)


def test_what_is_read_only_is_not_written(tmp_path: Path) -> None:
    async def body(_: Server, file: FuseFile) -> None:
        for request in (file.write(0, b"x"), file.truncate(0), file.allocate(ZERO_RANGE, 0, 512)):
            assert await refused(request) == errno.EACCES
        assert (await file.attributes())["st_mode"] == 0o100400

    play(tmp_path, body, writable=False)


def test_a_private_file_is_opened_to_nobody_else(tmp_path: Path) -> None:
    async def body(_: Server, file: FuseFile) -> None:
        file.change_mode(0o644)
        file.change_owner(-1, 7)
        shown = await file.attributes()
        assert (shown["st_mode"], shown["st_uid"], shown["st_gid"]) == (0o100644, os.getuid(), 7)
        file.is_private = True
        for change in (partial(file.change_mode, 0o640), partial(file.change_owner, 1, 1)):
            with pytest.raises(OSError, match=r"not (permitted|supported)"):
                change()
        file.change_mode(0o200)
        assert file.owner.mode == 0o200

    play(tmp_path, body)


def test_a_writethrough_file_flushes_each_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(_: Server, file: FuseFile) -> None:
        flags: list[int] = []
        whole = file._backend.pwrite

        async def pwrite(offset: int, data: memoryview, wanted: int = 0) -> None:
            flags.append(wanted)
            await whole(offset, data, wanted)

        monkeypatch.setattr(file._backend, "pwrite", pwrite)
        await file.write(0, b"x" * 512)
        assert flags == [FUA]

    play(tmp_path, body, writethrough=True)
