"""Whatever fails while a mirror or a commit is set up, the graph is afterwards what it was before."""

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from qmpserver.jobs.commit import CommitJob, CommitPlan
from qmpserver.jobs.error_policy import OnError
from qmpserver.jobs.mirror import ActiveCommitJob, MirrorJob
from qmpserver.jobs.mirror_plan import MirrorPlan, MirrorSync
from tests.unit.block import troubled_drivers
from tests.unit.block.conftest import Engine
from tests.unit.block.memory_drivers import FILES, MemoryFormat
from tests.unit.block.troubled_drivers import ERRORS, TROUBLE
from tests.unit.jobs.test_failed_starts import _refusal, _state
from tests.unit.jobs.test_stream import SIZE, Bench

Attempt = Callable[[Bench], Coroutine[Any, Any, Any]]


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A bench whose drivers ask before each step."""
    FILES.clear()
    MemoryFormat.images.clear()
    TROUBLE.calm()
    bench = Bench()
    name = troubled_drivers.__name__
    bench.engine = Engine(
        {
            "file": f"{name}:TroubledFile",
            "raw": f"{name}:TroubledFormat",
            "mirror_top": "qmpserver.drivers.mirror_top:MirrorTopDriver",
            "commit_top": "qmpserver.drivers.commit_top:CommitTopDriver",
        }
    )
    yield bench
    TROUBLE.calm()
    FILES.clear()
    MemoryFormat.images.clear()


async def _make_nodes(bench: Bench) -> None:
    nodes = await bench.make_chain(SIZE, SIZE, SIZE)
    for node in nodes[:2]:
        for item in (node, node.children["file"].node):
            item.flags.read_only = True
    await bench.engine.graph.refresh(*nodes)
    await bench.engine.add("target", "t", size=SIZE)


async def _mirror(bench: Bench) -> None:
    find = bench.engine.graph.find
    plan = MirrorPlan(find("n2"), find("target"), MirrorSync.FULL, 4096)
    await _set_up(bench, MirrorJob(bench.jobs, bench.engine.graph, "j", plan, on_error=OnError.REPORT))


async def _active_commit(bench: Bench) -> None:
    find = bench.engine.graph.find
    plan = MirrorPlan(find("n2"), find("n0"), MirrorSync.TOP, 4096, find("n1"), is_commit=True)
    await _set_up(bench, ActiveCommitJob(bench.jobs, bench.engine.graph, "j", plan, on_error=OnError.REPORT))


async def _commit(bench: Bench) -> None:
    find = bench.engine.graph.find
    plan = CommitPlan(find("n2"), find("n1"), find("n0"), find("n1"))
    await _set_up(bench, CommitJob(bench.jobs, bench.engine.graph, "j", plan, on_error=OnError.REPORT))


async def _set_up(bench: Bench, job: Any) -> None:
    async with bench.engine.graph.lock:
        await job.set_up(bench.engine.opener, 0)


@pytest.mark.parametrize("error", [*ERRORS, asyncio.CancelledError()])
@pytest.mark.parametrize("attempt", [_mirror, _active_commit, _commit])
def test_an_attempt_that_fails_at_any_step_leaves_nothing(
    bench: Bench, attempt: Attempt, error: BaseException
) -> None:
    async def refusal() -> str | None:
        try:
            return await _refusal(attempt(bench))
        except asyncio.CancelledError:
            return "refused"

    async def main() -> int:
        await _make_nodes(bench)
        before = _state(bench.engine.graph)
        for step in range(100):
            TROUBLE.arm(step, error)
            refused = await refusal()
            if refused is None:
                return step
            assert TROUBLE.has_struck, refused
            assert re.search("No locks available|refused", refused)
            assert _state(bench.engine.graph) == before, f"after step {step}"
            assert not list(bench.jobs)
        return 0

    assert asyncio.run(main()) >= 1
