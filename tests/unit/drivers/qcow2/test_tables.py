"""What is kept of an image's mapping tables."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from qmpserver import tasks
from qmpserver.block.extents import extents
from qmpserver.drivers.qcow2.tables import FEW
from tests.images import make_qcow2
from tests.unit.block.conftest import Engine

CLUSTER = 512
TABLES = 3 * FEW
REACH = CLUSTER * CLUSTER // 8
"""Bytes of the guest's that one table maps."""

REAL = {
    "file": "qmpserver.drivers.file.driver:FileDriver",
    "qcow2": "qmpserver.drivers.qcow2.driver:Qcow2Driver",
}


T = TypeVar("T")


async def on(path: Path, body: Callable[[Any], Awaitable[T]], *, read_only: bool) -> T:
    """Open an image, do something with its node, and close it."""
    engine = Engine(REAL)
    file = {"driver": "file", "filename": str(path)}
    options = {"driver": "qcow2", "node-name": "n", "read-only": read_only, "file": file}
    node = await engine.opener.open(options)
    result = await body(node)
    node.is_monitor_owned = False
    await engine.graph.collect(node)
    return result


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image with many tables, each of which maps one cluster."""
    path = make_qcow2(tmp_path / "image", str(TABLES * REACH), cluster_size=CLUSTER)

    async def fill(node: Any) -> None:
        for table in range(TABLES):
            await node.pwrite(table * REACH, memoryview(b"x" * CLUSTER))

    asyncio.run(on(path, fill, read_only=False))
    return path


async def walk(path: Path) -> tuple[int, int]:
    """Go through the whole image; return how many clusters it has, and how many tables are left in memory."""

    async def look(node: Any) -> tuple[int, int]:
        found = 0
        async for each in extents(node, 0, node.size):
            found += sum(status.is_data for status in each.statuses)
        return found, len(node.driver._parts.tables.cached)

    return await on(path, look, read_only=True)


def test_a_tool_that_goes_through_an_image_keeps_few_tables(image: Path) -> None:
    found, left = tasks.run(walk(image))
    assert found == TABLES
    assert left <= FEW + 1


def test_a_server_keeps_what_it_has_room_for(image: Path) -> None:
    assert asyncio.run(walk(image)) == (TABLES, TABLES)
