"""A write beyond a threshold is told of once."""

import asyncio
from typing import Any

import pytest

from qmpserver.server import Server

Act = list[tuple[str, int, int]]


async def tell(actions: Act, threshold: int, **options: Any) -> tuple[list[Any], int]:
    """Carry the actions out; return the events, and the threshold that is left."""
    async with Server() as server:
        events: list[Any] = []
        server.daemon.events.subscribe(lambda event: events.append(event.data))
        await server.execute(
            "blockdev-add", {"driver": "null-co", "node-name": "n", "size": 1 << 20, **options}
        )
        await server.execute("block-set-write-threshold", {"node-name": "n", "write-threshold": threshold})
        node = server.daemon.graph.find("n")
        for action, offset, length in actions:
            match action:
                case "write":
                    await node.pwrite(offset, memoryview(bytes(length)))
                case "zero":
                    await node.pwrite_zeroes(offset, length)
                case "discard":
                    await node.pdiscard(offset, length)
        nodes = await server.execute("query-named-block-nodes", {"flat": True})
        return events, nodes[0]["write_threshold"]


def exceeded(amount: int, threshold: int) -> dict[str, Any]:
    return {"node-name": "n", "amount-exceeded": amount, "write-threshold": threshold}


@pytest.mark.parametrize(
    ("actions", "events", "left"),
    [
        ([("write", 0, 4096)], [], 4096),
        ([("write", 1, 4096)], [exceeded(1, 4096)], 0),
        ([("write", 0, 4096), ("zero", 8192, 512), ("write", 9000, 1)], [exceeded(4608, 4096)], 0),
        ([("zero", 4095, 1), ("write", 65536, 512)], [exceeded(61952, 4096)], 0),
        ([("discard", 8192, 4096)], [exceeded(8192, 4096)], 0),
    ],
)
def test_the_first_request_that_ends_beyond_is_told_of(actions: Act, events: list[Any], left: int) -> None:
    assert asyncio.run(tell(actions, 4096, discard="unmap")) == (events, left)


def test_a_discard_that_is_not_passed_down_is_no_write() -> None:
    assert asyncio.run(tell([("discard", 8192, 4096)], 4096)) == ([], 4096)


def test_zero_takes_the_threshold_away() -> None:
    assert asyncio.run(tell([("write", 8192, 4096)], 0)) == ([], 0)


@pytest.mark.parametrize("threshold", [-1, (1 << 64) - 1])
def test_the_highest_threshold_is_never_exceeded(threshold: int) -> None:
    """QEMU takes either number for it, and shows the former."""
    assert asyncio.run(tell([("write", 0, 4096)], threshold)) == ([], -1)
