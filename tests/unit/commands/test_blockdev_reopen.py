"""Random changes to a small graph: all of a command or none of it, and data as the links say."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from qmpserver.block.node import Node
from qmpserver.errors import QMPError
from qmpserver.server import Server

NAMES = ("n0", "n1", "n2", "n3")
CLUSTER = 65536


async def add_nodes(server: Server, folder: Path) -> None:
    """Add nodes that hold each their own cluster, and none below another."""
    for index, name in enumerate(NAMES):
        path = str(folder / f"{name}.qcow2")
        await server.create_image(path, "qcow2", len(NAMES) * CLUSTER)
        file = {"driver": "file", "filename": path, "node-name": f"f{name}"}
        await server.execute("blockdev-add", {"driver": "qcow2", "node-name": name, "file": file})
        node = server.daemon.graph.find(name)
        await node.pwrite(index * CLUSTER, memoryview(bytes([index + 1]) * CLUSTER))


def random_options(rng: random.Random) -> dict[str, Any]:
    name = rng.choice(NAMES)
    options: dict[str, Any] = {"driver": "qcow2", "node-name": name, "file": f"f{name}"}
    if rng.random() < 0.8:
        options["backing"] = rng.choice([None, *NAMES, *NAMES, "nope"])
    if rng.random() < 0.3:
        options["file"] = f"f{rng.choice(NAMES)}"
    if rng.random() < 0.7:
        options["read-only"] = rng.random() < 0.7
    if rng.random() < 0.3:
        options["cache"] = {"no-flush": rng.random() < 0.5}
    if rng.random() < 0.1:
        options["force-share"] = True
    return options


async def rewrite(server: Server) -> None:
    """Write what is there already, wherever a node may be written."""
    for node in map(server.daemon.graph.find, NAMES):
        if not node.read_only:
            index = file_index(node)
            await node.pwrite(index * CLUSTER, memoryview(bytes([index + 1]) * CLUSTER))
            await node.flush()


def file_index(node: Node) -> int:
    """Return whose file a node is stored in."""
    return int(node.children["file"].node.node_name.removeprefix("fn"))


def shape(server: Server) -> Any:
    """Return what a refused command must not change: links with permissions, flags, and who inherits."""
    links = {
        (node.node_name, name, edge.node.node_name, edge.permissions)
        for node in server.daemon.graph
        for name, edge in node.children.items()
    }
    nodes = {
        node.node_name: (
            str(node.flags),
            str(node.explicit),
            len(node.parents),
            node.inherits_from and node.inherits_from.node_name,
        )
        for node in server.daemon.graph
    }
    return links, nodes


def expected(server: Server, name: str) -> list[int]:
    """Return the first byte of each cluster, as the links between nodes say."""
    seen = [0] * len(NAMES)
    node: Node | None = server.daemon.graph.find(name)
    while node is not None:
        index = file_index(node)
        seen[index] = index + 1
        node = node.backing
    return seen


async def first_bytes(server: Server, name: str) -> list[int]:
    buffer = bytearray(len(NAMES) * CLUSTER)
    await server.daemon.graph.find(name).pread(0, memoryview(buffer))
    return list(buffer[::CLUSTER])


@pytest.mark.parametrize("seed", range(4))
def test_a_command_has_its_whole_effect_or_none(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)

    async def scenario() -> None:
        done = 0
        async with Server() as server:
            await add_nodes(server, tmp_path)
            for _ in range(60):
                wanted = [random_options(rng) for _ in range(rng.choice((1, 1, 2, 3)))]
                before = shape(server)
                try:
                    await server.execute("blockdev-reopen", {"options": wanted})
                except QMPError:
                    assert shape(server) == before
                    await rewrite(server)
                    continue
                done += 1
                for options in {options["node-name"]: options for options in wanted}.values():
                    node = server.daemon.graph.find(options["node-name"])
                    if "backing" in options:
                        assert (node.backing and node.backing.node_name) == options["backing"]
            assert done > 5
            for name in NAMES:
                assert await first_bytes(server, name) == expected(server, name)

    asyncio.run(scenario())


def test_reopening_no_nodes_does_nothing() -> None:
    """QEMU 11.1 ends there."""

    async def scenario() -> None:
        async with Server() as server:
            await server.execute("blockdev-reopen", {"options": []})

    asyncio.run(scenario())
