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


def content(found: FileRange) -> bytes:
    """Return what a range holds now."""
    reader, writer = os.pipe()
    data = b""
    while found:
        data += os.read(reader, found.send(writer))
    os.close(reader)
    os.close(writer)
    return data


def data_of(node: Any, offset: int, length: int) -> bytes:
    found = at_once.find(node, offset, length)
    assert found is not None
    try:
        return content(found)
    finally:
        found.release()


def test_a_raw_image_is_its_file(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(os.urandom(3 * CLUSTER))
    whole = path.read_bytes()

    async def body(node: Any) -> None:
        assert data_of(node, 100, CLUSTER) == whole[612 : 612 + CLUSTER]
        async with node.drained():
            assert at_once.find(node, 0, CLUSTER) is None

    on(path, "raw", body, offset=512)


def test_clusters_side_by_side_are_one_range(tmp_path: Path) -> None:
    path = make_qcow2(tmp_path / "image", "1M")
    data = os.urandom(3 * CLUSTER)

    async def body(node: Any) -> None:
        await node.pwrite(CLUSTER, memoryview(data))
        assert data_of(node, CLUSTER + 100, 2 * CLUSTER) == data[100 : 100 + 2 * CLUSTER]
        assert at_once.find(node, 3 * CLUSTER, 2 * CLUSTER) is None

    on(path, "qcow2", body)


def test_clusters_that_may_be_there_in_part_are_not_found(tmp_path: Path) -> None:
    async def body(node: Any) -> None:
        await node.pwrite(0, memoryview(bytes(CLUSTER)))
        assert at_once.find(node, 0, CLUSTER) is None

    on(make_qcow2(tmp_path / "image", "1M", extended_l2="on"), "qcow2", body)


def test_what_bypasses_the_page_cache_is_not_found(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(os.urandom(3 * CLUSTER))

    async def body(node: Any) -> None:
        assert at_once.find(node, 0, CLUSTER) is None

    on(path, "raw", body, cache={"direct": True})


async def _replace(node: Any, gone: int, new: int) -> None:
    """Drop a cluster, so that it might be used again, and write another."""
    await node.pdiscard(gone * CLUSTER, CLUSTER)
    for _ in range(2):
        await node.flush()
    await node.pwrite(new * CLUSTER, memoryview(b"n" * CLUSTER))


def test_clusters_that_somebody_reads_are_not_used_again(tmp_path: Path) -> None:
    path = make_qcow2(tmp_path / "image", "1M")
    data = os.urandom(CLUSTER)

    async def body(node: Any) -> None:
        await node.pwrite(0, memoryview(data))
        found = at_once.find(node, 0, CLUSTER)
        assert found is not None
        before = path.stat().st_size
        await _replace(node, 0, 5)
        assert path.stat().st_size == before + CLUSTER
        # Somebody wants the room now, so nobody new may read where it lies.
        assert at_once.find(node, 5 * CLUSTER, CLUSTER) is None
        assert content(found) in (data, bytes(CLUSTER))
        found.release()
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
