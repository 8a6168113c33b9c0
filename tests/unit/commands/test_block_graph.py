"""The graph as it is shown, and where nodes are served."""

import asyncio

import pytest

from qmpserver.errors import QMPError
from qmpserver.server import Server


async def set_iothread(server: Server, node_name: str, iothread: str | None) -> None:
    await server.execute("x-blockdev-set-iothread", {"node-name": node_name, "iothread": iothread})


def test_a_node_may_be_given_to_any_iothread_there_is() -> None:
    async def scenario() -> None:
        async with Server() as server:
            await server.execute("blockdev-add", {"driver": "null-aio", "node-name": "n", "size": 512})
            await server.execute("object-add", {"qom-type": "iothread", "id": "io"})
            await server.execute("object-add", {"qom-type": "throttle-group", "id": "group"})
            for iothread in ("io", "", None):
                await set_iothread(server, "n", iothread)
            for other in ("nope", "group"):
                with pytest.raises(QMPError, match=f"Cannot find iothread {other}"):
                    await set_iothread(server, "n", other)
            with pytest.raises(QMPError, match="Failed to find node with node-name='nope'"):
                await set_iothread(server, "nope", "io")

    asyncio.run(scenario())


def test_a_raw_image_shows_what_the_image_below_says_of_itself() -> None:
    """QEMU 11.1 shows so, whatever window of it the raw image is."""

    async def scenario() -> None:
        async with Server() as server:
            below = {"driver": "null-co", "node-name": "n", "size": 4096}
            await server.execute(
                "blockdev-add",
                {"driver": "raw", "node-name": "r", "offset": 512, "file": {"driver": "raw", "file": below}},
            )
            nodes = await server.execute("query-named-block-nodes", {"flat": True})
            raw, null = ({n["node-name"]: n["image"] for n in nodes}[name] for name in ("r", "n"))
            assert "dirty-flag" not in raw
            assert raw["limits"] == null["limits"]

    asyncio.run(scenario())
