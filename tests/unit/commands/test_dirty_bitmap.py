"""Bitmaps while their nodes are written, reopened, closed, and used by transactions."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from qmpserver.block.bitmap_lookup import find
from qmpserver.block.dirty_bitmap import DirtyBitmap
from qmpserver.block.node import Node
from qmpserver.driver_api.bitmaps import SupportsBitmaps
from qmpserver.errors import QMPError
from qmpserver.server import Server

MiB = 1 << 20
SIZE = 4 * MiB
CLUSTER = 65536


@asynccontextmanager
async def serving(folder: Path, *names: str) -> AsyncIterator[Server]:
    """Serve new images as nodes."""
    server = Server()
    try:
        for name in names:
            path = folder / f"{name}.qcow2"
            if not path.exists():
                await server.create_image(str(path), "qcow2", SIZE)
            await add_node(server, folder, name)
        yield server
    finally:
        await server.close()


async def add_node(server: Server, folder: Path, name: str, **options: Any) -> Node:
    file = {"driver": "file", "filename": str(folder / f"{name}.qcow2"), "node-name": f"f{name}"}
    await server.execute(
        "blockdev-add", {"driver": "qcow2", "node-name": name, "file": file, "discard": "unmap", **options}
    )
    return server.daemon.graph.find(name)


async def add(server: Server, node: str, name: str = "b", **options: Any) -> DirtyBitmap:
    await server.execute("block-dirty-bitmap-add", {"node": node, "name": name, **options})
    return find(server.daemon.graph, node, name)[1]


def areas(bitmap: DirtyBitmap) -> list[tuple[int, int]]:
    return list(bitmap.areas())


def test_all_ways_to_write_are_marked_also_those_that_fail(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, "a") as server:
            bitmap = await add(server, "a")
            off = await add(server, "a", "off", disabled=True)
            node = server.daemon.graph.find("a")
            await node.pwrite(10, memoryview(b"x"))
            await node.pwrite_zeroes(3 * CLUSTER, CLUSTER)
            # All of it, though only whole clusters can be dropped.
            await node.pdiscard(5 * CLUSTER + 1, CLUSTER)
            await node.pread(9 * CLUSTER, memoryview(bytearray(512)))
            assert areas(bitmap) == [(0, CLUSTER), (3 * CLUSTER, CLUSTER), (5 * CLUSTER, 2 * CLUSTER)]
            file = server.daemon.graph.find("fa")
            await node.flush()
            file.flags.read_only = True
            with pytest.raises(OSError, match="not permitted"):
                await node.pwrite(9 * CLUSTER, memoryview(b"y"))
            file.flags.read_only = False
            assert areas(bitmap)[-1] == (9 * CLUSTER, CLUSTER)
            assert off.count == 0

    asyncio.run(scenario())


def test_a_persistent_bitmap_lives_on_in_the_image(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, "a") as server:
            await add(server, "a", persistent=True)
            await add(server, "a", "gone")
            await server.daemon.graph.find("a").pwrite(0, memoryview(b"x"))
        async with serving(tmp_path, "a") as server:
            node, bitmap = find(server.daemon.graph, "a", "b")
            assert areas(bitmap) == [(0, CLUSTER)]
            assert [one.name for one in node.dirty_bitmaps] == ["b"]
            await node.pwrite(CLUSTER, memoryview(b"x"))
            await node.truncate(SIZE + MiB)
            await server.execute("blockdev-del", {"node-name": "a"})
            node = await add_node(server, tmp_path, "a")
            assert areas(node.dirty_bitmaps[0]) == [(0, 2 * CLUSTER)]
            assert node.dirty_bitmaps[0].size == node.size == SIZE + MiB

    asyncio.run(scenario())


def test_a_reopening_that_fails_leaves_bitmaps_that_count_as_out_of_date(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, "a", "c") as server:
            await add(server, "a", persistent=True)
            node = server.daemon.graph.find("a")
            read_only = {
                "driver": "qcow2",
                "node-name": "a",
                "file": "fa",
                "discard": "unmap",
                "read-only": True,
            }
            wrong = {
                "driver": "qcow2",
                "node-name": "c",
                "file": "fc",
                "lazy-refcounts": True,
                "overlap-check": "all",
            }
            with pytest.raises(QMPError):
                await server.execute(
                    "blockdev-reopen", {"options": [read_only, {**wrong, "l2-cache-entry-size": 7}]}
                )
            assert not node.read_only
            assert isinstance(node.driver, SupportsBitmaps)
            (shown,) = node.driver.image_info()["format-specific"]["data"]["bitmaps"]
            assert shown["flags"] == ["in-use", "auto"]
            await node.pwrite(0, memoryview(b"x"))
            await server.execute("blockdev-reopen", {"options": [read_only]})
            assert node.driver.image_info()["format-specific"]["data"]["bitmaps"][0]["flags"] == ["auto"]
            assert areas(node.dirty_bitmaps[0]) == [(0, CLUSTER)]
            with pytest.raises(QMPError, match="readonly"):
                await server.execute("block-dirty-bitmap-clear", {"node": "a", "name": "b"})

    asyncio.run(scenario())


def test_backups_of_a_transaction_are_of_one_moment_while_both_disks_are_written(tmp_path: Path) -> None:
    """A writer counts up on two disks, one after the other: no backup is two steps away from the other."""

    async def scenario(seed: int) -> tuple[int, int]:
        sources, targets = (f"a{seed}", f"c{seed}"), (f"ta{seed}", f"tc{seed}")
        async with (
            serving(tmp_path, *sources, *targets) as server,
            server.backend(sources[0], writable=True) as first_user,
            server.backend(sources[1], writable=True) as second_user,
        ):
            is_over = False

            async def count_up() -> None:
                number = 0
                while not is_over:
                    number += 1
                    for user in (first_user, second_user):
                        await user.pwrite(0, memoryview(number.to_bytes(8, "big")))
                        await asyncio.sleep(0)

            writer = asyncio.get_running_loop().create_task(count_up())
            for _ in range(random.Random(seed).randrange(20, 60)):
                await asyncio.sleep(0)
            backups = [
                {
                    "type": "blockdev-backup",
                    "data": {
                        "device": source,
                        "target": target,
                        "sync": "full",
                        "job-id": source,
                    },
                }
                for source, target in zip(sources, targets, strict=True)
            ]
            await server.execute(
                "transaction", {"actions": backups, "properties": {"completion-mode": "grouped"}}
            )
            while list(server.daemon.jobs):
                await asyncio.sleep(0)
            is_over = True
            await writer
            copies = []
            for target in targets:
                into = bytearray(8)
                await server.daemon.graph.find(target).pread(0, memoryview(into))
                copies.append(int.from_bytes(into, "big"))
            return copies[0], copies[1]

    for seed in range(3):
        first, second = asyncio.run(scenario(seed))
        assert 0 <= first - second <= 1


def test_a_digest_of_a_huge_bitmap_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as server:
            await server.execute(
                "blockdev-add", {"driver": "null-co", "node-name": "n", "size": 1 << 62, "read-zeroes": True}
            )
            await add(server, "n")
            with pytest.raises(QMPError, match="Bitmap 'b' is too large for a digest"):
                await server.execute("x-debug-block-dirty-bitmap-sha256", {"node": "n", "name": "b"})

    asyncio.run(scenario())
