"""Whatever fails while nodes are opened or a job is set up, the graph is afterwards what it was before."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from qmpserver.block.graph import Graph
from qmpserver.errors import QMPError
from qmpserver.jobs.error_policy import OnError
from qmpserver.jobs.stream import StreamJob, StreamPlan
from tests.unit.block import troubled_drivers
from tests.unit.block.conftest import Engine
from tests.unit.block.memory_drivers import FILES, MemoryFormat
from tests.unit.block.troubled_drivers import ERRORS, TROUBLE
from tests.unit.jobs.test_stream import SIZE, Bench

Attempt = Callable[[Bench], Awaitable[Any]]


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A bench whose drivers ask before each step."""
    FILES.clear()
    MemoryFormat.images.clear()
    TROUBLE.calm()
    bench = Bench()
    name = troubled_drivers.__name__
    drivers = {"file": "TroubledFile", "raw": "TroubledFormat", "copy-on-read": "TroubledFilter"}
    bench.engine = Engine({key: f"{name}:{value}" for key, value in drivers.items()})
    yield bench
    TROUBLE.calm()
    FILES.clear()
    MemoryFormat.images.clear()


def _state(graph: Graph) -> list[Any]:
    """Return everything that an attempt which fails must leave as it was."""
    return [
        (
            node.node_name,
            node.read_only,
            list(node.busy_reasons),
            node.is_monitor_owned,
            [
                (edge.parent.name, edge.name, edge.used, edge.shared, edge.is_frozen)
                for edge in sorted(node.parents, key=lambda edge: (edge.parent.name, edge.name))
            ],
            [(name, edge.node.node_name) for name, edge in sorted(node.children.items())],
            getattr(node.driver, "held", None),
            bool(getattr(node.driver, "reopening", None)),
        )
        for node in graph
    ]


async def _open_tree(bench: Bench) -> Any:
    """Open an image over new and old nodes."""
    FILES.setdefault("new", bytearray())
    file = {"driver": "file", "filename": "new", "node-name": "new-file"}
    below = {"driver": "raw", "node-name": "below", "file": "spare", "read-only": True}
    options = {"driver": "raw", "node-name": "new", "file": file, "backing": {**below, "backing": "n1"}}
    async with bench.engine.graph.lock:
        return await bench.engine.opener.open(options)


async def _stream(bench: Bench) -> StreamJob:
    """Set up a stream into a read-only node that has an overlay."""
    find = bench.engine.graph.find
    plan = StreamPlan(find("n1"), find("n0"), find("n0"))
    job = StreamJob(bench.jobs, bench.engine.graph, "j", plan, on_error=OnError.REPORT)
    async with bench.engine.graph.lock:
        await job.set_up(bench.engine.opener, 0)
    return job


async def _make_nodes(bench: Bench) -> None:
    await bench.make_chain(SIZE, SIZE)
    FILES.update(spare=bytearray(), f2=bytearray())
    await bench.engine.opener.open({"driver": "file", "filename": "spare", "node-name": "spare"})
    for name in ("n1", "n1-file"):
        bench.engine.graph.find(name).flags.read_only = True
    file = {"driver": "file", "filename": "f2", "node-name": "n2-file"}
    await bench.engine.opener.open({"driver": "raw", "node-name": "n2", "file": file, "backing": "n1"})


async def _refusal(attempt: Awaitable[Any]) -> str | None:
    try:
        await attempt
    except QMPError as error:
        return error.description
    return None


@pytest.mark.parametrize(
    ("error", "text"), [*zip(ERRORS, ("'.+': No locks available", "refused"), strict=True)]
)
@pytest.mark.parametrize("attempt", [_open_tree, _stream])
def test_an_attempt_that_fails_at_any_step_leaves_nothing(
    bench: Bench, attempt: Attempt, error: Exception, text: str
) -> None:
    async def main() -> int:
        await _make_nodes(bench)
        before = _state(bench.engine.graph)
        for step in range(100):
            TROUBLE.arm(step, error)
            refusal = await _refusal(attempt(bench))
            if refusal is None:
                return step
            assert TROUBLE.has_struck, refusal
            assert re.search(text, refusal), "the refusal does not say what was refused, or of what"
            assert _state(bench.engine.graph) == before, f"after step {step}"
            assert not list(bench.jobs)
        return 0

    assert asyncio.run(main()) >= 3


@pytest.mark.parametrize("attempt", [_open_tree, _stream])
def test_an_attempt_that_is_called_off_at_any_step_leaves_nothing(bench: Bench, attempt: Attempt) -> None:
    async def main() -> int:
        await _make_nodes(bench)
        before = _state(bench.engine.graph)
        for step in range(100):
            TROUBLE.arm(step, asyncio.CancelledError())
            try:
                await attempt(bench)
            except asyncio.CancelledError:
                assert TROUBLE.has_struck
            else:
                return step
            assert _state(bench.engine.graph) == before, f"after step {step}"
        return 0

    assert asyncio.run(main()) >= 3
