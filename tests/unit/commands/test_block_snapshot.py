"""Overlays are put over nodes that are in use, and nothing that was written is lost or misplaced."""

import asyncio
import contextlib
import itertools
import os
import random
from pathlib import Path
from typing import Any

import pytest

from qmpserver.block.backend import BlockBackend
from qmpserver.block.chain import skip_filters
from qmpserver.errors import QMPError
from qmpserver.server import Server
from tests.images import qemu_img

SIZE = 1 << 20


@contextlib.asynccontextmanager
async def serving(path: Path) -> Any:
    """Serve an image as node `top`, with a backend that may write."""
    async with Server() as server:
        await server.create_image(str(path), "qcow2", SIZE)
        file = {"driver": "file", "filename": str(path), "node-name": "file"}
        await server.execute("blockdev-add", {"driver": "qcow2", "node-name": "top", "file": file})
        async with server.backend("top", writable=True) as backend:
            yield server, backend


async def keep_writing(
    backend: BlockBackend, model: bytearray, rng: random.Random, enough: asyncio.Event
) -> None:
    while not enough.is_set():
        offset = rng.randrange(SIZE - 4096)
        data = rng.randbytes(rng.randrange(1, 4096))
        await backend.pwrite(offset, memoryview(data))
        model[offset : offset + len(data)] = data
        await asyncio.sleep(0)


async def content(backend: BlockBackend) -> bytes:
    buffer = bytearray(SIZE)
    await backend.pread(0, memoryview(buffer))
    return bytes(buffer)


async def take(server: Server, folder: Path, node: str, name: str) -> None:
    arguments = {
        "node-name": node,
        "snapshot-node-name": name,
        "snapshot-file": str(folder / f"{name}.qcow2"),
    }
    await server.execute("blockdev-snapshot-sync", arguments)


def test_under_writes_every_write_is_in_the_chain(tmp_path: Path) -> None:
    model = bytearray(SIZE)

    async def scenario() -> None:
        async with serving(tmp_path / "top.qcow2") as (server, backend):
            enough = asyncio.Event()
            writer = asyncio.create_task(keep_writing(backend, model, random.Random(1), enough))
            nodes = ["top", *(f"s{index}" for index in range(5))]
            for below, name in itertools.pairwise(nodes):
                await take(server, tmp_path, below, name)
                await asyncio.sleep(0)
                assert server.daemon.graph.find(below).read_only
                assert backend.node.node_name == name
                again = {"driver": "qcow2", "node-name": name, "backing": below, "cache": {"no-flush": True}}
                file = server.daemon.graph.find(name).children["file"].node.node_name
                await server.execute("blockdev-reopen", {"options": [again | {"file": file}]})
            await asyncio.sleep(0)
            enough.set()
            await writer
            assert await content(backend) == model

    asyncio.run(scenario())
    seen = tmp_path / "seen.raw"
    seen.write_bytes(model)
    assert qemu_img("compare", "-F", "raw", tmp_path / "s4.qcow2", seen).startswith("Images are identical")


def test_what_was_written_before_stays_below_and_what_comes_after_goes_above(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path / "top.qcow2") as (server, backend):
            await backend.pwrite(0, memoryview(b"before"))
            await take(server, tmp_path, "top", "above")
            await backend.pwrite(0, memoryview(b"AF"))
            assert (await content(backend))[:6] == b"AFfore"
            buffer = bytearray(6)
            await server.daemon.graph.find("top").pread(0, memoryview(buffer))
            assert buffer == b"before"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "refused",
    [
        {"snapshot-file": "{folder}/nowhere/x.qcow2", "snapshot-node-name": "x"},
        {"snapshot-file": "{folder}/x.qcow2", "snapshot-node-name": "file"},
        {"snapshot-file": "{folder}/x.qcow2", "snapshot-node-name": "1"},
        {"snapshot-file": "{folder}/top.qcow2", "snapshot-node-name": "x"},
        {"snapshot-file": "{folder}/top.qcow2", "snapshot-node-name": "x", "mode": "existing"},
        {"snapshot-file": "{folder}/x.qcow2", "snapshot-node-name": "x", "format": "raw"},
    ],
)
def test_a_refused_snapshot_leaves_everything_as_it_was(tmp_path: Path, refused: dict[str, str]) -> None:
    async def scenario() -> None:
        async with serving(tmp_path / "top.qcow2") as (server, backend):
            await backend.pwrite(0, memoryview(b"data"))
            before = await server.execute("x-debug-query-block-graph"), sorted(os.listdir(tmp_path))
            arguments = {key: value.format(folder=tmp_path) for key, value in refused.items()}
            with pytest.raises(QMPError):
                await server.execute("blockdev-snapshot-sync", {"node-name": "top", **arguments})
            assert (await server.execute("x-debug-query-block-graph"), sorted(os.listdir(tmp_path))) == before
            await backend.pwrite(4, memoryview(b"more"))
            assert (await content(backend))[:8] == b"datamore"

    asyncio.run(scenario())


def test_the_name_stored_leads_back_from_the_overlays_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep").mkdir()

    async def scenario() -> None:
        async with serving(Path("top.qcow2")) as (server, _backend):
            await take(server, Path("deep"), "top", "above")
            nodes = await server.execute("query-named-block-nodes", {"flat": True})
            image = next(node["image"] for node in nodes if node["node-name"] == "above")
            assert image["backing-filename"] == "../top.qcow2"

    asyncio.run(scenario())
    assert "../top.qcow2" in qemu_img("info", "--backing-chain", tmp_path / "deep" / "above.qcow2")


async def keep_reopening(server: Server, backend: BlockBackend, rng: random.Random) -> None:
    while True:
        top = skip_filters(backend.node)
        options = {
            "driver": "qcow2",
            "node-name": top.node_name,
            "file": top.children["file"].node.node_name,
            "backing": top.backing.node_name if top.backing is not None else None,
            "cache": {"no-flush": rng.random() < 0.5},
            "l2-cache-size": rng.choice((65536, 1 << 20)),
        }
        with contextlib.suppress(QMPError):
            await server.execute("blockdev-reopen", {"options": [options]})
        await asyncio.sleep(0)


async def keep_streaming(server: Server, backend: BlockBackend) -> None:
    while True:
        arguments = {"job-id": "j", "device": skip_filters(backend.node).node_name}
        with contextlib.suppress(QMPError):
            await server.execute("block-stream", arguments)
        while (job := server.daemon.jobs.get("j")) is not None:
            await job.ended.wait()
            await asyncio.sleep(0)


def test_writes_snapshots_reopens_and_streams_at_once_lose_nothing(tmp_path: Path) -> None:
    model, rng = bytearray(SIZE), random.Random(3)

    async def scenario() -> str:
        async with serving(tmp_path / "top.qcow2") as (server, backend):
            enough = asyncio.Event()
            writer = asyncio.create_task(keep_writing(backend, model, rng, enough))
            others = [
                asyncio.create_task(keep_reopening(server, backend, rng)),
                asyncio.create_task(keep_streaming(server, backend)),
            ]
            taken = 0
            while taken < 6:
                await asyncio.sleep(0)
                with contextlib.suppress(QMPError):
                    await take(server, tmp_path, skip_filters(backend.node).node_name, f"s{taken}")
                    taken += 1
            for task in others:
                task.cancel()
            enough.set()
            await asyncio.wait([writer, *others])
            await server.daemon.jobs.cancel_all()
            assert await content(backend) == model
            return str(skip_filters(backend.node).children["file"].filename)

    top = asyncio.run(scenario())
    (tmp_path / "seen.raw").write_bytes(model)
    qemu_img("compare", "-q", "-F", "raw", top, tmp_path / "seen.raw")
