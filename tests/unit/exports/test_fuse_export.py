"""A node offered as a file: mounted, used and taken away, by a kernel that is ours."""

import asyncio
import errno
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from qmpserver.errors import QMPError
from qmpserver.events import Event
from qmpserver.exports import fuse_export
from qmpserver.exports.fuse_file import FuseFile, Serve
from qmpserver.server import Server


class Kernel:
    """Takes files in, or does not.

    Attributes:
        mounts: What is mounted, by place.
        refuses: Options that it does not take.
    """

    def __init__(self) -> None:
        self.mounts: dict[str, KernelMount] = {}
        self.refuses: set[str] = set()

    def make(self, place: str, file: FuseFile, serve: Serve, options: dict[str, Any]) -> "KernelMount":
        return KernelMount(self, place, file, serve, options)


class KernelMount:
    """One file, as the kernel has it."""

    def __init__(
        self, kernel: Kernel, place: str, file: FuseFile, serve: Serve, options: dict[str, Any]
    ) -> None:
        self.kernel = kernel
        self.place = place
        self.file = file
        self.serve = serve
        self.options = options
        self.loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self.loop.create_future()

    async def mount(self) -> None:
        if any(self.options[name] for name in self.kernel.refuses):
            self.ended.set_result(None)
            raise QMPError("Failed to mount FUSE session to export")
        self.kernel.mounts[self.place] = self

    def unmount(self) -> None:
        """Called in a thread."""
        del self.kernel.mounts[self.place]
        self.loop.call_soon_threadsafe(self.ended.set_result, None)


Body = Callable[[Server, Kernel], Coroutine[Any, Any, None]]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Body], list[str]]:
    """Run a body on a server with the node `n`; return the ids of exports that are gone, as told."""

    async def main(body: Body) -> list[str]:
        kernel = Kernel()
        monkeypatch.setattr(fuse_export, "_load_library", lambda: kernel.make)
        told: list[str] = []

        def hear(event: Event) -> None:
            if event.name == "BLOCK_EXPORT_DELETED":
                told.append(event.to_wire()["data"]["id"])

        async with asyncio.timeout(20), Server() as server:
            server.daemon.events.subscribe(hear)
            node = {"driver": "null-co", "node-name": "n", "size": 1 << 20, "read-zeroes": True}
            await server.execute("blockdev-add", node)
            await body(server, kernel)
        assert not kernel.mounts
        return told

    for name in "ab":
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return lambda body: asyncio.run(main(body))


async def add(server: Server, export_id: str, mountpoint: str, **options: Any) -> None:
    wanted = {"type": "fuse", "id": export_id, "node-name": "n", "mountpoint": mountpoint}
    await server.execute(
        "block-export-add", wanted | {key.replace("_", "-"): options[key] for key in options}
    )


def test_a_file_is_shown_until_its_export_is_deleted(
    play: Callable[[Body], list[str]], tmp_path: Path
) -> None:
    async def body(server: Server, kernel: Kernel) -> None:
        await add(server, "e", "a", writable=True)
        mount = kernel.mounts[str(tmp_path / "a")]
        assert mount.options == {"allow_other": True, "ro": False}
        assert await mount.serve(mount.file.read(0, 16)) == bytes(16)
        with pytest.raises(QMPError, match="Node n is in use"):
            await server.execute("blockdev-del", {"node-name": "n"})
        await server.execute("block-export-del", {"id": "e"})
        with pytest.raises(OSError, match="not connected") as caught:
            await mount.serve(mount.file.read(0, 16))
        assert caught.value.errno == errno.ENOTCONN
        await server.execute("blockdev-del", {"node-name": "n"})

    assert play(body) == ["e"]


def test_an_export_that_somebody_else_unmounts_is_gone(play: Callable[[Body], list[str]]) -> None:
    async def body(server: Server, kernel: Kernel) -> None:
        await add(server, "e", "a")
        (mount,) = kernel.mounts.values()
        mount.unmount()
        while await server.execute("query-block-exports"):
            await asyncio.sleep(0)
        await add(server, "e", "a")

    assert play(body) == ["e", "e"]


def test_one_place_is_covered_once_however_it_is_written(play: Callable[[Body], list[str]]) -> None:
    async def body(server: Server, kernel: Kernel) -> None:
        await add(server, "e", "a")
        with pytest.raises(QMPError, match=r"There already is a FUSE export on '\./a'"):
            await add(server, "f", "./a")
        await add(server, "f", "b")
        assert len(kernel.mounts) == 2

    # They are taken down at the same time, each in a thread.
    assert sorted(play(body)) == ["e", "f"]


def test_only_the_owner_is_let_in_where_others_cannot_be(play: Callable[[Body], list[str]]) -> None:
    async def body(server: Server, kernel: Kernel) -> None:
        kernel.refuses = {"allow_other"}
        with pytest.raises(QMPError, match="Failed to mount FUSE session to export"):
            await add(server, "e", "a", allow_other="on")
        assert await server.execute("query-block-exports") == []
        await add(server, "e", "a")
        (mount,) = kernel.mounts.values()
        assert mount.file.is_private

    assert play(body) == ["e"]


def test_what_went_wrong_inside_is_an_io_error(
    play: Callable[[Body], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(server: Server, kernel: Kernel) -> None:
        await add(server, "e", "a")
        (mount,) = kernel.mounts.values()

        async def fail(offset: int, length: int) -> bytes:
            raise ZeroDivisionError

        monkeypatch.setattr(mount.file, "read", fail)
        with pytest.raises(OSError, match="Input/output error"):
            await mount.serve(mount.file.read(0, 512))

    play(body)


def test_a_missing_package_or_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "qmpserver.exports.fuse_mount", raising=False)
    monkeypatch.setitem(sys.modules, "mfusepy", None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").touch()

    async def main() -> None:
        async with Server() as server:
            await server.execute("blockdev-add", {"driver": "null-co", "node-name": "n"})
            with pytest.raises(QMPError, match=r"need the package 'mfusepy' \(install 'qmpserver\[fuse\]'\)"):
                await add(server, "e", "a")
            await server.execute("blockdev-del", {"node-name": "n"})

    asyncio.run(main())
