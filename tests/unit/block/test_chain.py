"""Chains are walked through filters, and short layers hide what lies below them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from qmpserver.block import chain

MakeEngine = Callable[[], Any]


async def make_chain(engine: Any, *sizes: int) -> list[Any]:
    nodes: list[Any] = []
    for index, size in enumerate(sizes):
        backing = {"backing": f"n{index - 1}"} if index else {}
        nodes.append(await engine.add(f"n{index}", f"f{index}", size=size, **backing))
    return nodes


def test_a_chain_goes_through_filters(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        base, top = await make_chain(engine, 8192, 8192)
        over = await engine.opener.insert_filter({"driver": "copy-on-read", "node-name": "flt"}, top)
        assert [node.node_name for node in chain.nodes(over)] == ["flt", "n1", "n0"]
        assert chain.skip_filters(over) is top
        assert chain.contains(over, base)
        assert not chain.contains(base, top)
        assert chain.below(top) is base

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("bottom", "offset", "expected"),
    [
        # n2 (16 KiB, nothing) over n1 (8 KiB, its first cluster) over n0 (16 KiB, all of it)
        ("n2", 0, (False, 4096)),
        ("n1", 0, (True, 4096)),
        ("n1", 4096, (False, 4096)),
        (None, 4096, (True, 4096)),
        ("n1", 8192, (True, 4096)),  # n1 ends: its zeroes hide n0
        (None, 8192, (True, 4096)),
    ],
)
def test_allocation_is_asked_down_to_the_bottom_node(
    make_engine: MakeEngine, bottom: str | None, offset: int, expected: tuple[bool, int]
) -> None:
    async def scenario() -> None:
        engine = make_engine()
        base, middle, top = await make_chain(engine, 16384, 8192, 16384)
        await base.pwrite(0, memoryview(b"b" * 16384))
        await middle.pwrite(0, memoryview(b"m" * 4096))
        assert await chain.is_allocated_down_to(top, bottom, offset, 8192) == expected

    asyncio.run(scenario())


def test_past_the_end_of_the_last_layer_nothing_is_allocated(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        base, top = await make_chain(engine, 4096, 16384)
        assert await chain.is_allocated_down_to(base, None, 8192, 8192) == (False, 8192)
        assert await chain.is_allocated(top, 16384, 10) == (False, 10)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("name", "found"), [("f0", True), ("./f0", True), ("f1", False), ("nonsense", False)]
)
def test_a_backing_image_is_found_by_any_path_to_it(make_engine: MakeEngine, name: str, found: bool) -> None:
    async def scenario() -> None:
        engine = make_engine()
        base = await engine.add("base", "f0")
        top = await engine.add("top", "f1", backing="base", **{"x-backing": "f0"})
        assert chain.find_backing_image(top, name) is (base if found else None)

    asyncio.run(scenario())
