"""Nodes are opened with everything below them, or not at all."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from qmpserver.errors import QMPError
from tests.unit.block.memory_drivers import FILES

MakeEngine = Callable[[], Any]


def names(engine: Any) -> list[str]:
    return [node.node_name for node in engine.graph]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"driver": "file", "filename": "f"}, "'node-name' must be specified for the root node"),
        ({"driver": "file", "node-name": "1x", "filename": "f"}, "Invalid node-name: '1x'"),
        ({"driver": "file", "node-name": "x" * 32, "filename": "f"}, "Node name too long"),
        ({"driver": "file", "node-name": "taken", "filename": "f"}, "Duplicate nodes with node-name='taken'"),
        (
            {"driver": "file", "node-name": "n", "filename": "none"},
            "Could not open 'none': No such file or directory",
        ),
        ({"driver": "nope", "node-name": "n"}, "Unknown driver 'nope'"),
        (
            {"driver": "raw", "node-name": "n", "file": "gone"},
            "Cannot find device='gone' nor node-name='gone'",
        ),
        (
            {
                "driver": "raw",
                "node-name": "n",
                "file": {"driver": "file", "filename": "f"},
                "backing": "gone",
            },
            "Could not open backing file: Cannot find device='gone' nor node-name='gone'",
        ),
        (
            {"driver": "file", "node-name": "n", "filename": "f", "force-share": True},
            "force-share=on can only be used with read-only images",
        ),
        (
            {"driver": "file", "node-name": "n", "filename": "f", "detect-zeroes": "unmap"},
            "setting detect-zeroes to unmap is not allowed without setting discard operation to unmap",
        ),
    ],
)
def test_what_cannot_be_opened_is_refused_and_leaves_nothing(
    make_engine: MakeEngine, options: dict[str, Any], text: str
) -> None:
    async def scenario() -> None:
        engine = make_engine()
        FILES["f"] = bytearray(512)
        await engine.opener.open({"driver": "file", "node-name": "taken", "filename": "f"})
        with pytest.raises(QMPError) as caught:
            await engine.opener.open(options)
        assert caught.value.description == text
        assert names(engine) == ["taken"]

    asyncio.run(scenario())


def test_nodes_are_known_in_qemus_order(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        FILES["b"] = bytearray(512)
        await engine.add("top", "t", **{"x-backing": "b"})
        first, second, *below = names(engine)
        assert (first, second) == ("top-file", "top")
        assert [engine.graph.find(name).driver.format_name for name in below] == ["file", "raw"]
        assert engine.gated == ["b"]

    asyncio.run(scenario())


def test_a_missing_image_far_down_is_named_with_the_way_to_it(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        FILES["mid"] = bytearray(512)
        backing = {"driver": "raw", "x-backing": "gone", "file": {"driver": "file", "filename": "mid"}}
        with pytest.raises(QMPError) as caught:
            await engine.add("top", "t", backing=backing)
        assert caught.value.description == (
            "Could not open backing file: Could not open backing file: "
            "Could not open 'gone': No such file or directory"
        )
        assert names(engine) == []

    asyncio.run(scenario())


def test_a_chain_that_loops_is_refused(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        with pytest.raises(QMPError, match="loops: 't' is in it already"):
            await engine.add("top", "t", **{"x-backing": "t"})
        assert names(engine) == []

    asyncio.run(scenario())


def test_two_writers_of_one_image_are_refused_with_both_named(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        await engine.add("one", "f")
        with pytest.raises(QMPError) as caught:
            await engine.opener.open({"driver": "raw", "node-name": "two", "file": "one-file"})
        assert caught.value.description == (
            "Permission conflict on node 'one-file': permissions 'write, resize' are both required by "
            "node 'one' (uses node 'one-file' as 'file' child) and unshared by "
            "node 'two' (uses node 'one-file' as 'file' child)."
        )
        assert names(engine) == ["one-file", "one"]
        assert len(engine.graph.find("one-file").parents) == 1

    asyncio.run(scenario())


def test_closing_a_node_closes_what_only_it_used(make_engine: MakeEngine) -> None:
    async def scenario() -> None:
        engine = make_engine()
        FILES["shared"] = bytearray(512)
        shared = await engine.opener.open(
            {"driver": "file", "node-name": "shared", "filename": "shared", "read-only": True}
        )
        top = await engine.add("top", "t", backing="shared")
        file = engine.graph.find("top-file")
        top.is_monitor_owned = False
        await engine.graph.collect(top)
        assert names(engine) == ["shared"]
        assert top.driver.closed
        assert file.driver.closed
        assert not shared.driver.closed
        assert not shared.parents

    asyncio.run(scenario())
