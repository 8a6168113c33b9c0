"""A commit in the middle of a chain changes nothing that anybody sees above, however it ends."""

import errno
from collections.abc import Callable
from typing import Any

import pytest

from qmpserver.errors import QMPError
from qmpserver.jobs.error_policy import OnError
from tests.unit.block.troubled_drivers import TROUBLE
from tests.unit.jobs.mirror_bench import CLUSTER, SIZE, MirrorBench, content
from tests.unit.jobs.test_mirror import assert_untouched, play

__all__ = ["play"]

SUCCESS = ["created", "running", "waiting", "pending", "COMPLETED", "concluded", "null"]


@pytest.mark.parametrize(
    "sizes", [(SIZE,) * 4, (SIZE // 2, SIZE, SIZE - CLUSTER, SIZE), (SIZE, SIZE // 2, SIZE // 2, SIZE)]
)
@pytest.mark.parametrize("seed", range(5))
def test_layers_are_committed_under_a_node_in_use(
    play: Callable[..., None], seed: int, sizes: tuple[int, ...]
) -> None:
    async def scenario(bench: MirrorBench) -> None:
        base, _, middle, top = await bench.make_chain(*sizes)
        if seed % 2:
            bench.let_host_copy()
        guest = await bench.make_guest(top)
        expected = await content(middle)
        job = await bench.commit(middle, base)
        await guest.use(60)
        await bench.until(job, "null")
        assert bench.story() == SUCCESS
        assert top.backing is base
        assert (await content(base))[: len(expected)] == expected
        await guest.use(60)
        assert await content(top) == guest.model
        assert_untouched(bench)

    play(scenario, seed)


def test_a_base_that_was_read_only_is_so_again(play: Callable[..., None]) -> None:
    async def scenario(bench: MirrorBench) -> None:
        base, middle, top = await bench.make_chain(SIZE, SIZE, SIZE)
        base.flags.read_only = base.children["file"].node.flags.read_only = True
        expected = await content(top)
        job = await bench.commit(middle, base, auto_finalize=False)
        await bench.until(job, "pending")
        assert not base.read_only
        await bench.jobs.finalize(job)
        assert base.read_only
        assert await content(top) == expected
        assert_untouched(bench)

    play(scenario)


def test_a_commit_called_off_leaves_the_chain_as_it_was(play: Callable[..., None]) -> None:
    async def scenario(bench: MirrorBench) -> None:
        base, middle, top = await bench.make_chain(SIZE, SIZE, SIZE)
        expected = await content(top)
        job = await bench.commit(middle, base, auto_finalize=False)
        await bench.until(job, "pending")
        await job.cancel()
        assert bench.story()[-4:] == ["aborting", "CANCELLED", "concluded", "null"]
        assert top.backing is middle
        assert await content(top) == expected
        assert_untouched(bench)

    play(scenario)


@pytest.mark.parametrize("side", ["read", "write"])
@pytest.mark.parametrize("policy", [OnError.REPORT, OnError.STOP, OnError.IGNORE])
def test_an_error_is_answered_as_told_and_costs_no_data(
    play: Callable[..., None], side: str, policy: OnError
) -> None:
    async def scenario(bench: MirrorBench) -> None:
        base, middle, top = await bench.make_chain(SIZE, SIZE, SIZE)
        expected = await content(top)
        files: Any = {name: bench.graph.find(f"{name}-file").driver for name in ("n0", "n1")}
        if side == "read":
            files["n1"].fail_reads_at = set(filter(None, middle.driver.table.values()))
        else:
            files["n0"].fail_writes = errno.EIO
        job = await bench.commit(middle, base, on_error=policy)
        if policy is OnError.STOP:
            await bench.until(job, "paused")
            assert job.to_wire()["io-status"] == "failed"
            files["n1"].fail_reads_at, files["n0"].fail_writes = set(), None
            job.user_resume()
        await bench.until(job, "null")
        files["n1"].fail_reads_at, files["n0"].fail_writes = set(), None
        actions = {
            event.data["action"] for event in bench.seen if event.name == "BLOCK_JOB_ERROR" and event.data
        }
        sides = {
            event.data["operation"] for event in bench.seen if event.name == "BLOCK_JOB_ERROR" and event.data
        }
        assert (actions, sides) == ({policy.value}, {side})
        assert top.backing is (base if policy is OnError.STOP else middle)
        assert job.error == (None if policy is OnError.STOP else "Input/output error")
        assert await content(top) == expected
        assert_untouched(bench)

    play(scenario)


def test_an_image_that_cannot_name_the_base_keeps_its_chain(play: Callable[..., None]) -> None:
    async def scenario(bench: MirrorBench) -> None:
        base, middle, top = await bench.make_chain(SIZE, SIZE, SIZE)
        expected = await content(top)
        job = await bench.commit(middle, base, auto_finalize=False)
        await bench.until(job, "pending")
        TROUBLE.arm(0, QMPError("refused"))
        await bench.jobs.finalize(job)
        TROUBLE.calm()
        assert job.error == "refused"
        assert top.backing is middle
        assert await content(top) == expected
        assert_untouched(bench)

    play(scenario)
