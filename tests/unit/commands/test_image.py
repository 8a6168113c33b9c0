"""Images are made and resized as clients ask, beside whatever else uses the nodes."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from qmpserver.block import internal_snapshots
from qmpserver.block.backend import BlockBackend
from qmpserver.driver_api.permissions import PERM_ALL, Permission, PermissionSet
from qmpserver.errors import NodeInUse, QMPError
from qmpserver.server import Server
from qmpserver.units import KiB, MiB
from tests.images import qemu_check

OLD = b"old" * KiB
Scenario = Callable[[Server], Coroutine[Any, Any, None]]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Scenario], None]:
    """Run a scenario on a server in a folder with one file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.img").write_bytes(OLD)

    def run(scenario: Scenario) -> None:
        async def main() -> None:
            async with asyncio.timeout(20), Server() as server:
                await scenario(server)

        asyncio.run(main())

    return run


def file(name: str, **options: Any) -> dict[str, Any]:
    return {"driver": "file", "filename": name, **options}


async def create(server: Server, **options: Any) -> str | None:
    """Make an image by a job, and return the job's error."""
    await server.execute("blockdev-create", {"job-id": "job", "options": options})
    return await ended(server)


async def ended(server: Server) -> str | None:
    await server.daemon.jobs.find("job").ended.wait()
    (info,) = await server.execute("query-jobs")
    await server.execute("job-dismiss", {"id": "job"})
    error: str | None = info.get("error")
    return error


async def made(server: Server, name: str = "node") -> None:
    """Make an image of 1 MiB, and open it."""
    assert await create(server, driver="file", filename=f"{name}.qcow2", size=0) is None
    assert await create(server, driver="qcow2", file=file(f"{name}.qcow2"), size=MiB) is None
    await server.execute(
        "blockdev-add", {"driver": "qcow2", "node-name": name, "file": file(f"{name}.qcow2")}
    )


async def resize(server: Server, size: int, name: str = "node") -> None:
    await server.execute("block_resize", {"node-name": name, "size": size})


def test_an_image_is_made_by_two_jobs(play: Callable[[Scenario], None]) -> None:
    async def scenario(server: Server) -> None:
        await made(server)
        assert [node.node_name for node in server.daemon.graph if node.node_name == "node"] == ["node"]
        assert len(list(server.daemon.graph)) == 2

    play(scenario)
    assert qemu_check(Path("node.qcow2")) == {}


@pytest.mark.parametrize("wanted", [{"size": 1000}, {"size": MiB, "data-file": "nix"}])
def test_a_creation_that_is_refused_leaves_node_and_file_alone(
    play: Callable[[Scenario], None], wanted: dict[str, Any]
) -> None:
    async def scenario(server: Server) -> None:
        await server.execute("blockdev-add", {"node-name": "old", **file("old.img")})
        assert await create(server, driver="qcow2", file="old", **wanted) is not None
        assert not server.daemon.graph.find("old").parents
        assert await create(server, driver="qcow2", file=file("old.img"), **wanted) is not None
        assert len(list(server.daemon.graph)) == 1

    play(scenario)
    assert Path("old.img").read_bytes() == OLD


def test_a_creation_that_is_cancelled_ends_so(play: Callable[[Scenario], None]) -> None:
    async def scenario(server: Server) -> None:
        options = {"driver": "qcow2", "file": file("old.img"), "size": MiB}
        async with server.daemon.graph.lock:
            await server.execute("blockdev-create", {"job-id": "job", "options": options})
            await server.execute("job-cancel", {"id": "job"})
        assert await ended(server) == "Operation canceled"
        assert not list(server.daemon.graph)

    play(scenario)


def test_a_driver_that_makes_no_images_is_refused_at_once(play: Callable[[Scenario], None]) -> None:
    async def scenario(server: Server) -> None:
        with pytest.raises(QMPError, match="Driver does not support blockdev-create"):
            await create(server, driver="raw")
        assert not list(server.daemon.jobs)

    play(scenario)


def test_a_user_who_does_not_share_the_size_is_in_the_way(play: Callable[[Scenario], None]) -> None:
    async def scenario(server: Server) -> None:
        await made(server)
        node = server.daemon.graph.find("node")
        user = BlockBackend(server.daemon.graph, "user")
        await user.insert(node, PermissionSet(Permission.CONSISTENT_READ, PERM_ALL & ~Permission.RESIZE))
        with pytest.raises(NodeInUse, match="permissions 'resize' are both required by an unnamed"):
            await resize(server, 2 * MiB)
        await user.remove()
        node.busy_reasons.append("block device is in use by block job: stream")
        with pytest.raises(NodeInUse, match="Node 'node' is busy: block device is in use by block job"):
            await resize(server, 2 * MiB)
        node.busy_reasons.clear()
        await resize(server, 2 * MiB)
        assert node.size == 2 * MiB
        assert not node.parents

    play(scenario)


def test_a_read_only_node_is_not_resized(play: Callable[[Scenario], None]) -> None:
    async def scenario(server: Server) -> None:
        await server.execute("blockdev-add", {"node-name": "old", "read-only": True, **file("old.img")})
        with pytest.raises(QMPError, match="Image is read-only"):
            await resize(server, 512, "old")

    play(scenario)


def test_writes_go_on_around_a_resize(play: Callable[[Scenario], None]) -> None:
    async def scenario(server: Server) -> None:
        await made(server)
        async with server.backend("node", writable=True) as backend:

            async def write(offset: int) -> None:
                await backend.pwrite(offset, memoryview(bytes([1 + offset // (4 * KiB)]) * (4 * KiB)))

            writes = [write(offset) for offset in range(0, MiB // 2, 4 * KiB)]
            sizes = [resize(server, size) for size in (2 * MiB, 600 * KiB, 3 * MiB)]
            await asyncio.gather(*writes[:64], sizes[0], *writes[64:100], sizes[1], *writes[100:], sizes[2])
            into = bytearray(MiB)
            await backend.pread(0, memoryview(into))
        for start in range(0, MiB // 2, 4 * KiB):
            assert into[start] == into[start + 4 * KiB - 1] == 1 + start // (4 * KiB)
        assert not any(into[MiB // 2 :])

    play(scenario)
    assert qemu_check(Path("node.qcow2")) == {}


def test_a_node_that_another_stands_on_keeps_its_size(play: Callable[[Scenario], None]) -> None:
    async def scenario(server: Server) -> None:
        await made(server)
        await made(server, "top")
        await server.execute(
            "blockdev-reopen",
            {
                "options": [
                    {
                        "driver": "qcow2",
                        "node-name": "top",
                        "file": server.daemon.graph.find("top").children["file"].node.node_name,
                        "backing": "node",
                    }
                ]
            },
        )
        with pytest.raises(NodeInUse, match="node is used as backing hd of 'top'"):
            await resize(server, 512)
        assert server.daemon.graph.find("node").size == MiB

    play(scenario)


@pytest.mark.parametrize(
    ("command", "arguments", "text"),
    [
        (
            "block_resize",
            {"node-name": "node", "size": 512},
            "Permission 'resize' unavailable on inactive node",
        ),
        (
            "blockdev-snapshot-internal-sync",
            {"device": "node", "name": "s"},
            "Block format 'qcow2' used by device 'node' does not support internal snapshots",
        ),
    ],
)
def test_the_image_of_an_inactive_node_stays_as_it_is(
    play: Callable[[Scenario], None], command: str, arguments: dict[str, Any], text: str
) -> None:
    """QEMU 11.1's texts."""

    async def scenario(server: Server) -> None:
        await made(server)
        await server.execute("blockdev-set-active", {"node-name": "node", "active": False})
        with pytest.raises(QMPError, match=text):
            await server.execute(command, arguments)
        await server.execute("blockdev-set-active", {"node-name": "node", "active": True})
        node = server.daemon.graph.find("node")
        assert node.size == MiB
        assert not internal_snapshots.of_node(node)

    play(scenario)


def test_an_image_and_its_data_are_not_made_in_one_file(play: Callable[[Scenario], None]) -> None:
    async def scenario(server: Server) -> None:
        await server.execute("blockdev-add", {"node-name": "f", **file("old.img")})
        error = await create(server, driver="qcow2", file="f", size=MiB, **{"data-file": "f"})
        assert error == "Node 'f' cannot be both 'file' and 'data-file'"

    play(scenario)
    assert Path("old.img").read_bytes() == OLD
