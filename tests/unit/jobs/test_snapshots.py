"""Snapshots of several images at once; the refusals are those recorded of QEMU 11.1's system emulator."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from qmpserver import transaction
from qmpserver.commands import snapshot_actions
from qmpserver.errors import QMPError
from qmpserver.server import Server
from qmpserver.units import KiB
from tests.images import qemu_check, qemu_img

SIZE = 256 * KiB
Scenario = Callable[[Server], Coroutine[Any, Any, None]]


async def open_images(server: Server) -> None:
    for name in ("one", "two"):
        await server.create_image(f"{name}.qcow2", "qcow2", SIZE)
        file = {"driver": "file", "filename": f"{name}.qcow2"}
        await server.execute("blockdev-add", {"driver": "qcow2", "node-name": name, "file": file})
        await write(server, name, b"1")
    await server.execute("blockdev-add", {"driver": "null-co", "node-name": "plain", "size": SIZE})


async def write(server: Server, name: str, byte: bytes) -> None:
    async with server.backend(name, writable=True) as backend:
        await backend.pwrite(0, memoryview(byte * SIZE))


async def shown(server: Server, name: str) -> bytes:
    into = bytearray(SIZE)
    async with server.backend(name) as backend:
        await backend.pread(0, memoryview(into))
    assert into == into[:1] * SIZE
    return bytes(into[:1])


async def run_job(server: Server, command: str, **arguments: Any) -> str | None:
    """Start a job, wait for its end, dismiss it, and return its error."""
    await server.execute(command, {"job-id": "job", **arguments})
    job = server.daemon.jobs.find("job")
    await job.ended.wait()
    (info,) = await server.execute("query-jobs")
    assert (info["type"], info["current-progress"], info["total-progress"]) == (command, 1, 1)
    await server.execute("job-dismiss", {"id": "job"})
    error: str | None = info.get("error")
    return error


async def save(server: Server, tag: str = "tag", **arguments: Any) -> str | None:
    return await run_job(
        server, "snapshot-save", **{"tag": tag, "vmstate": "one", "devices": ["one", "two"], **arguments}
    )


async def load(server: Server, tag: str = "tag", **arguments: Any) -> str | None:
    return await run_job(
        server, "snapshot-load", **{"tag": tag, "vmstate": "one", "devices": ["one", "two"], **arguments}
    )


async def snapshots(server: Server, name: str) -> list[str]:
    nodes = await server.execute("query-named-block-nodes", {"flat": True})
    (image,) = [node["image"] for node in nodes if node["node-name"] == name]
    return [one["name"] for one in image.get("snapshots", [])]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Scenario], None]:
    """Run a scenario on a server with two images full of ones."""
    monkeypatch.chdir(tmp_path)

    def run(scenario: Scenario) -> None:
        async def main() -> None:
            async with asyncio.timeout(20), Server() as server:
                await open_images(server)
                await scenario(server)

        asyncio.run(main())

    return run


def test_all_images_go_back_together(play: Callable[[Scenario], None]) -> None:
    async def scenario(server: Server) -> None:
        assert await save(server) is None
        for name in ("one", "two"):
            await write(server, name, b"2")
        await server.execute("block_resize", {"node-name": "two", "size": 2 * SIZE})
        assert await save(server, "later") is None
        assert await load(server) is None
        assert [await shown(server, name) for name in ("one", "two")] == [b"1", b"1"]
        assert server.daemon.graph.find("two").size == SIZE
        assert await run_job(server, "snapshot-delete", tag="tag", devices=["one", "two"]) is None
        assert [await snapshots(server, name) for name in ("one", "two")] == [["later"], ["later"]]

    play(scenario)
    assert [qemu_check(Path(f"{name}.qcow2")) for name in ("one", "two")] == [{}, {}]


NOT_READY = "is writable but does not support snapshots"
SAVE_REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"devices": []}, "At least one device is required for snapshot"),
    ({"devices": ["one", "nix"]}, "No block device node 'nix'"),
    ({"devices": ["one", "plain"]}, f"Device 'plain' {NOT_READY}"),
    ({"tag": "old"}, "Snapshot 'old' already exists in one or more devices"),
    ({"devices": ["two"]}, "vmstate block device 'one' does not exist"),
    ({"vmstate": "nix"}, "vmstate block device 'nix' does not exist"),
]
LOAD_REFUSED: list[tuple[dict[str, Any], str]] = [
    *SAVE_REFUSED[:3],
    ({}, "Snapshot 'tag' does not exist in one or more devices"),
    ({"tag": "one-only"}, "Snapshot 'one-only' does not exist in one or more devices"),
    ({"tag": "old", "vmstate": "nix"}, "vmstate block device 'nix' does not exist"),
    (
        {"tag": "old", "vmstate": "two"},
        "This is a disk-only snapshot. Revert to it  offline using qemu-img",
    ),
]


def test_refusals(play: Callable[[Scenario], None]) -> None:
    async def scenario(server: Server) -> None:
        assert await save(server, "old") is None
        assert await save(server, "one-only", devices=["one"]) is None
        for arguments, text in SAVE_REFUSED:
            assert await save(server, **arguments) == text
        for arguments, text in LOAD_REFUSED:
            assert await load(server, **arguments) == text
        for arguments, text in SAVE_REFUSED[:3]:
            assert await run_job(server, "snapshot-delete", tag="old", **arguments) == text
        assert await snapshots(server, "one") == ["old", "one-only"]
        assert await snapshots(server, "two") == ["old"]
        # One that has no such snapshot is passed over.
        assert await run_job(server, "snapshot-delete", tag="one-only", devices=["two", "one"]) is None
        assert await snapshots(server, "one") == ["old"]

    play(scenario)


def test_a_save_that_fails_in_the_middle_leaves_no_snapshot(play: Callable[[Scenario], None]) -> None:
    async def scenario(server: Server) -> None:
        async def fail(_wanted: Any) -> None:
            raise OSError(28, "")

        driver: Any = server.daemon.graph.find("two").driver
        driver.create_snapshot = fail
        assert await save(server) == "Could not create snapshot 'tag' on 'two'"
        assert await snapshots(server, "one") == []

    play(scenario)
    assert qemu_check(Path("one.qcow2")) == {}


def test_a_state_that_another_program_saved_is_refused_before_anything_changes(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(server: Server) -> None:
        driver: Any = server.daemon.graph.find("one").driver
        await driver.write_vm_state(0, memoryview(b"QEVM" + bytes(100)))
        assert await save(server) is None
        taken = driver.snapshots[0]
        await driver.delete_snapshot(taken.snapshot_id, None)
        await driver.write_vm_state(0, memoryview(b"QEVM" + bytes(100)))
        await driver.create_snapshot(taken)
        await write(server, "one", b"2")
        assert (
            await load(server) == "The snapshot holds the state of a machine that another program has saved"
        )
        assert await shown(server, "one") == b"2"

    play(scenario)


def test_what_a_bitmap_records_is_not_replaced(play: Callable[[Scenario], None]) -> None:
    async def scenario(server: Server) -> None:
        assert await save(server) is None
        await server.execute("block-dirty-bitmap-add", {"node": "two", "name": "bitmap"})
        await write(server, "one", b"2")
        text = "Could not load snapshot 'tag' on 'two': Device has active dirty bitmaps"
        assert await load(server) == text
        assert await shown(server, "one") == b"2"
        await server.execute("block-dirty-bitmap-remove", {"node": "two", "name": "bitmap"})
        assert await load(server) is None

    play(scenario)


def test_a_job_at_work_on_a_node_is_in_the_way(play: Callable[[Scenario], None]) -> None:
    async def scenario(server: Server) -> None:
        node = server.daemon.graph.find("two")
        node.busy_reasons.append("it is busy")
        assert await save(server) == "Node 'two' is busy: it is busy"
        node.busy_reasons.clear()

    play(scenario)


def test_a_transaction_takes_all_snapshots_or_none(play: Callable[[Scenario], None]) -> None:
    async def scenario(server: Server) -> None:
        async def take(*devices: str) -> None:
            async with server.daemon.graph.lock:
                actions = [
                    snapshot_actions.internal(server.daemon, device=one, name="tag") for one in devices
                ]
                await transaction.run(actions)

        with pytest.raises(QMPError, match="'plain' does not support internal snapshots"):
            await take("one", "plain")
        assert await snapshots(server, "one") == []
        await take("one", "two")
        assert [await snapshots(server, name) for name in ("one", "two")] == [["tag"], ["tag"]]

    play(scenario)


def test_qemu_lists_the_snapshots(play: Callable[[Scenario], None]) -> None:
    async def scenario(server: Server) -> None:
        assert await save(server) is None

    play(scenario)
    listed = [line.split() for line in qemu_img("snapshot", "-l", "one.qcow2").splitlines()[2:]]
    assert [words[:2] for words in listed] == [["1", "tag"]]
    assert listed[0][2] != "0"
