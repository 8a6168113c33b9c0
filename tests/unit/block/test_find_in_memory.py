"""Data is found where it lies in a file, and nothing else comes to lie there while somebody holds it."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from qmpserver.block import at_once
from qmpserver.file_range import FileRange
from tests.images import judge, make_qcow2
from tests.unit.block.conftest import Engine

REAL = {
    "file": "qmpserver.drivers.file.driver:FileDriver",
    "qcow2": "qmpserver.drivers.qcow2.driver:Qcow2Driver",
    "raw": "qmpserver.drivers.raw:RawDriver",
}
CLUSTER = 1 << 16


def on(path: Path, driver: str, body: Callable[[Any], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        engine = Engine(REAL)
        file = {"driver": "file", "filename": str(path)}
        node = await engine.opener.open(
            {"driver": driver, "node-name": "n", "discard": "unmap", "file": file, **options}
        )
        await body(node)
        node.is_monitor_owned = False
        await engine.graph.collect(node)

    asyncio.run(main())


def content(parts: list[FileRange]) -> bytes:
    """Return what ranges hold now."""
    reader, writer = os.pipe()
    data = b""
    for part in parts:
        while part:
            data += os.read(reader, part.send(writer))
    os.close(reader)
    os.close(writer)
    return data


def data_of(node: Any, offset: int, length: int) -> bytes:
    found = at_once.find(node, offset, length)
    assert found
    try:
        return content(found)
    finally:
        release(found)


def release(parts: list[FileRange]) -> None:
    for part in parts:
        part.release()


def test_a_raw_image_is_its_file(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(os.urandom(3 * CLUSTER))
    whole = path.read_bytes()

    async def body(node: Any) -> None:
        assert data_of(node, 100, CLUSTER) == whole[612 : 612 + CLUSTER]
        async with node.drained():
            assert not at_once.find(node, 0, CLUSTER)

    on(path, "raw", body, offset=512)


def test_clusters_side_by_side_are_one_range(tmp_path: Path) -> None:
    path = make_qcow2(tmp_path / "image", "1M")
    data = os.urandom(3 * CLUSTER)

    async def body(node: Any) -> None:
        await node.pwrite(CLUSTER, memoryview(data))
        assert data_of(node, CLUSTER + 100, 2 * CLUSTER) == data[100 : 100 + 2 * CLUSTER]
        assert not at_once.find(node, 3 * CLUSTER, 2 * CLUSTER)

    on(path, "qcow2", body)


def test_clusters_that_lie_apart_are_several_ranges(tmp_path: Path) -> None:
    path = make_qcow2(tmp_path / "image", "1M")
    data = os.urandom(3 * CLUSTER)

    async def body(node: Any) -> None:
        for cluster in (2, 0, 1):
            await node.pwrite(cluster * CLUSTER, memoryview(data)[cluster * CLUSTER :][:CLUSTER])
        parts = at_once.find(node, 0, 3 * CLUSTER)
        assert [len(part) for part in parts] == [2 * CLUSTER, CLUSTER]
        # They stay where they are until the last has been read.
        parts[0].release()
        assert not await _gives_room_again(node, gone=0, new=5)
        assert content(parts) in (data, bytes(CLUSTER) + data[CLUSTER:])
        parts[1].release()
        assert await _gives_room_again(node, gone=1, new=6)

    on(path, "qcow2", body)


def test_a_range_that_is_not_all_there_is_not_found_in_part(tmp_path: Path) -> None:
    path = make_qcow2(tmp_path / "image", "1M")

    async def body(node: Any) -> None:
        await node.pwrite(0, memoryview(os.urandom(CLUSTER)))
        await node.pwrite(3 * CLUSTER, memoryview(os.urandom(CLUSTER)))
        assert not at_once.find(node, 3 * CLUSTER, 2 * CLUSTER)
        # Nothing of it is promised any more.
        assert await _gives_room_again(node, gone=0, new=5)

    on(path, "qcow2", body)


def test_many_short_ranges_are_not_worth_it(tmp_path: Path) -> None:
    async def body(node: Any) -> None:
        for offset in range(64 * 1024 - 4096, -4096, -4096):
            await node.pwrite(offset, memoryview(os.urandom(4096)))
        assert not at_once.find(node, 0, 64 * 1024)

    on(make_qcow2(tmp_path / "image", "1M", cluster_size=4096), "qcow2", body)


def test_clusters_that_may_be_there_in_part_are_not_found(tmp_path: Path) -> None:
    async def body(node: Any) -> None:
        await node.pwrite(0, memoryview(bytes(CLUSTER)))
        assert not at_once.find(node, 0, CLUSTER)

    on(make_qcow2(tmp_path / "image", "1M", extended_l2="on"), "qcow2", body)


def test_what_bypasses_the_page_cache_is_not_found(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(os.urandom(3 * CLUSTER))

    async def body(node: Any) -> None:
        assert not at_once.find(node, 0, CLUSTER)

    on(path, "raw", body, cache={"direct": True})


async def _replace(node: Any, gone: int, new: int) -> None:
    """Drop a cluster, so that it might be used again, and write another."""
    await node.pdiscard(gone * CLUSTER, CLUSTER)
    for _ in range(2):
        await node.flush()
    await node.pwrite(new * CLUSTER, memoryview(b"n" * CLUSTER))


async def _gives_room_again(node: Any, gone: int, new: int) -> bool:
    """Drop a cluster, write another, and say whether that is where the first was."""
    file = node.children["file"]
    before = file.size
    await _replace(node, gone, new)
    return bool(file.size == before)


def test_clusters_that_somebody_reads_are_not_used_again(tmp_path: Path) -> None:
    path = make_qcow2(tmp_path / "image", "1M")
    data = os.urandom(CLUSTER)

    async def body(node: Any) -> None:
        await node.pwrite(0, memoryview(data))
        found = at_once.find(node, 0, CLUSTER)
        assert found
        before = path.stat().st_size
        await _replace(node, 0, 5)
        assert path.stat().st_size == before + CLUSTER
        # Somebody wants the room now, so nobody new may read where it lies.
        assert not at_once.find(node, 5 * CLUSTER, CLUSTER)
        assert content(found) in (data, bytes(CLUSTER))
        release(found)
        assert data_of(node, 5 * CLUSTER, CLUSTER) == b"n" * CLUSTER
        await node.pwrite(7 * CLUSTER, memoryview(b"o" * CLUSTER))
        assert path.stat().st_size == before + CLUSTER

    on(path, "qcow2", body)
    assert judge(path.read_bytes()) == ([], 0)


def test_room_is_used_again_when_nobody_reads(tmp_path: Path) -> None:
    path = make_qcow2(tmp_path / "image", "1M")

    async def body(node: Any) -> None:
        await node.pwrite(0, memoryview(b"a" * CLUSTER))
        before = path.stat().st_size
        await _replace(node, 0, 5)
        assert path.stat().st_size == before

    on(path, "qcow2", body)
