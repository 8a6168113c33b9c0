"""A mirror is exact whatever the guest does meanwhile, and ends as it was told to."""

import asyncio
import contextlib
import errno
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any

import pytest

from qmpserver.errors import QMPError
from qmpserver.jobs.error_policy import OnError
from qmpserver.jobs.mirror_plan import CopyMode, MirrorSync
from qmpserver.jobs.states import JobVerb
from tests.unit.block.memory_drivers import FILES, MemoryFormat
from tests.unit.block.troubled_drivers import TROUBLE
from tests.unit.jobs.mirror_bench import CLUSTER, SIZE, MirrorBench, content

Scenario = Callable[[MirrorBench], Coroutine[Any, Any, None]]
READY = ["created", "running", "ready", "READY"]
DONE = ["waiting", "pending", "COMPLETED", "concluded", "null"]


@pytest.fixture
def play() -> Iterator[Callable[..., None]]:
    """Run a scenario on a fresh bench; an error that nobody awaited fails the test."""

    def run(scenario: Scenario, seed: int = 0) -> None:
        async def main() -> None:
            unhandled: list[Any] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
            async with asyncio.timeout(20):
                await scenario(MirrorBench(seed))
            assert not unhandled

        asyncio.run(main())

    FILES.clear()
    MemoryFormat.images.clear()
    TROUBLE.calm()
    yield run
    FILES.clear()
    MemoryFormat.images.clear()


def assert_untouched(bench: MirrorBench) -> None:
    assert not list(bench.jobs)
    assert not bench.graph.lock.locked()
    for node in bench.graph:
        assert not node.driver.is_filter
        assert not node.busy_reasons
        assert not node.dirty_bitmaps
        assert not any(edge.is_frozen for edge in node.children.values())


@pytest.mark.parametrize("mode", CopyMode)
@pytest.mark.parametrize("seed", range(8))
def test_the_target_takes_the_place_of_a_node_that_never_stood_still(
    play: Callable[..., None], mode: CopyMode, seed: int
) -> None:
    async def scenario(bench: MirrorBench) -> None:
        _, _, top = await bench.make_chain(SIZE, SIZE - 8 * CLUSTER, SIZE)
        target = await bench.engine.add("target", "t", size=SIZE, discard="unmap" if seed % 3 else "ignore")
        if seed % 2:
            await bench.scribble(target)
        guest = await bench.make_guest(top)
        if seed % 2:
            bench.let_host_copy()
        granularity = (512, CLUSTER, 4 * CLUSTER)[seed % 3]
        job = await bench.mirror(top, target, copy_mode=mode, granularity=granularity)
        users = [asyncio.ensure_future(guest.use(60)) for _ in range(4)]
        await bench.until(job, "ready")
        if seed % 4 == 3:
            job.change(CopyMode.WRITE_BLOCKING)
        await asyncio.sleep(0)
        await job.complete()
        await bench.until(job, "null")
        assert guest.backend.node is target
        await asyncio.gather(*users)
        assert await content(target) == guest.model
        assert bench.story()[-5:] == DONE
        assert_untouched(bench)

    play(scenario, seed)


@pytest.mark.parametrize("mode", CopyMode)
@pytest.mark.parametrize("seed", range(6))
def test_a_mirror_called_off_when_ready_leaves_a_copy_of_one_moment(
    play: Callable[..., None], mode: CopyMode, seed: int
) -> None:
    async def scenario(bench: MirrorBench) -> None:
        _, top = await bench.make_chain(SIZE, SIZE)
        target = await bench.engine.add("target", "t", size=SIZE)
        guest = await bench.make_guest(top)
        job = await bench.mirror(top, target, copy_mode=mode, auto_finalize=False)
        users = [asyncio.ensure_future(guest.use(40)) for _ in range(4)]
        await bench.until(job, "ready")
        await job.cancel(force=False)
        await bench.until(job, "pending")
        held = asyncio.ensure_future(guest.use(3))
        moment = await content(target)
        await bench.tick()
        assert not held.done(), "the guest is to wait while the job is pending"
        await bench.jobs.finalize(job)
        assert guest.backend.node is top
        assert await content(target) == moment
        await asyncio.gather(held, *users)
        assert await content(top) == guest.model
        assert_untouched(bench)

    play(scenario, seed)


@pytest.mark.parametrize("seed", range(6))
def test_an_active_commit_of_a_node_in_use_gives_its_place_to_the_base(
    play: Callable[..., None], seed: int
) -> None:
    async def scenario(bench: MirrorBench) -> None:
        base, _, top = await bench.make_chain(SIZE, SIZE, SIZE)
        if seed % 2:
            bench.let_host_copy()
        guest = await bench.make_guest(top)
        job = await bench.commit(top, base)
        users = [asyncio.ensure_future(guest.use(60)) for _ in range(4)]
        await bench.until(job, "ready")
        await job.complete()
        await bench.until(job, "null")
        assert guest.backend.node is base
        await asyncio.gather(*users)
        assert await content(base) == guest.model
        assert_untouched(bench)

    play(scenario, seed)


@pytest.mark.parametrize("seed", range(6))
def test_a_mirror_of_the_topmost_image_is_exact_over_the_same_backing_node(
    play: Callable[..., None], seed: int
) -> None:
    async def scenario(bench: MirrorBench) -> None:
        base, top = await bench.make_chain(SIZE, SIZE)
        target = await bench.engine.add("target", "t", size=SIZE, backing="n0")
        guest = await bench.make_guest(top)
        job = await bench.mirror(top, target, sync=MirrorSync.TOP, bottom=top)
        users = [asyncio.ensure_future(guest.use(40)) for _ in range(3)]
        await bench.until(job, "ready")
        await job.complete()
        await bench.until(job, "null")
        await asyncio.gather(*users)
        assert await content(target) == guest.model
        assert target.backing is base
        assert_untouched(bench)

    play(scenario, seed)


def test_writes_that_block_are_on_both_sides_when_they_end(play: Callable[..., None]) -> None:
    async def scenario(bench: MirrorBench) -> None:
        (top,) = await bench.make_chain(SIZE)
        target = await bench.engine.add("target", "t", size=SIZE)
        guest = await bench.make_guest(top)
        job = await bench.mirror(top, target, copy_mode=CopyMode.WRITE_BLOCKING)
        await bench.until(job, "ready")
        assert job.to_wire()["actively-synced"] is True
        before = job.progress_total
        await guest.backend.pwrite(5000, memoryview(b"b" * 9000))
        assert (await content(target))[5000:14000] == b"b" * 9000
        assert job.to_wire()["actively-synced"] is True
        await guest.backend.pdiscard(CLUSTER, CLUSTER)
        assert await content(target) == await content(top)
        await job.cancel()
        assert bench.story() == [*READY, "aborting", "CANCELLED", "concluded", "null"]
        assert job.progress_current == job.progress_total == before + 9000 + CLUSTER
        assert_untouched(bench)

    play(scenario)


def test_nothing_but_what_is_written_is_copied_when_nothing_is_wanted_at_first(
    play: Callable[..., None],
) -> None:
    async def scenario(bench: MirrorBench) -> None:
        (top,) = await bench.make_chain(SIZE)
        target = await bench.engine.add("target", "t", size=SIZE)
        guest = await bench.make_guest(top)
        job = await bench.mirror(top, target, sync=MirrorSync.NONE)
        assert bench.story() == READY
        await guest.backend.pwrite(0, memoryview(b"n" * CLUSTER))
        await bench.tick()
        await bench.tick()
        assert await content(target) == b"n" * CLUSTER + bytes(SIZE - CLUSTER)
        assert (job.progress_current, job.progress_total) == (CLUSTER, CLUSTER)
        await job.cancel()

    play(scenario)


@pytest.mark.parametrize("side", ["read", "write"])
@pytest.mark.parametrize("policy", [OnError.REPORT, OnError.STOP, OnError.ENOSPC, OnError.IGNORE])
def test_an_error_on_either_side_is_answered_as_told(
    play: Callable[..., None], side: str, policy: OnError
) -> None:
    async def scenario(bench: MirrorBench) -> None:
        (top,) = await bench.make_chain(SIZE)
        target = await bench.engine.add("target", "t", size=SIZE)
        files: Any = {name: bench.graph.find(f"{name}-file").driver for name in ("n0", "target")}
        if side == "read":
            files["n0"].fail_reads_at = set(filter(None, top.driver.table.values()))
        else:
            files["target"].fail_writes = errno.EIO
        policies = {"on_error": policy} if side == "read" else {"on_target_error": policy}
        job = await bench.mirror(top, target, **policies)
        if policy in (OnError.REPORT, OnError.ENOSPC):
            await bench.until(job, "null")
            assert bench.story()[-4:] == ["aborting", "COMPLETED", "concluded", "null"]
            assert job.error == "Input/output error"
            action = "report"
        else:
            if policy is OnError.STOP:
                await bench.until(job, "paused")
                assert job.to_wire()["io-status"] == "failed"
                action = "stop"
            else:
                while "ERROR" not in bench.story():
                    await bench.tick()
                action = "ignore"
            files["n0"].fail_reads_at, files["target"].fail_writes = set(), None
            if policy is OnError.STOP:
                job.user_resume()
                assert job.to_wire()["io-status"] == "ok"
            await bench.until(job, "ready")
            assert await content(target) == await content(top)
            await job.cancel()
        errors = [event.data for event in bench.seen if event.name == "BLOCK_JOB_ERROR"]
        assert errors
        assert all(error == {"device": "j", "operation": side, "action": action} for error in errors)
        if policy is not OnError.IGNORE:
            assert len(errors) == 1
        assert_untouched(bench)

    play(scenario)


def test_a_target_that_fails_a_blocking_write_does_not_fail_the_guest(play: Callable[..., None]) -> None:
    async def scenario(bench: MirrorBench) -> None:
        (top,) = await bench.make_chain(SIZE)
        target = await bench.engine.add("target", "t", size=SIZE)
        guest = await bench.make_guest(top)
        job = await bench.mirror(top, target, copy_mode=CopyMode.WRITE_BLOCKING, on_target_error=OnError.STOP)
        await bench.until(job, "ready")
        file: Any = bench.graph.find("target-file").driver
        file.fail_writes = errno.ENOSPC
        await guest.backend.pwrite(0, memoryview(b"x" * CLUSTER))
        await bench.until(job, "standby")
        assert job.to_wire()["io-status"] == "nospace"
        assert job.to_wire()["actively-synced"] is False
        file.fail_writes = None
        job.user_resume()
        await job.complete()
        await bench.until(job, "null")
        assert (await content(target))[:CLUSTER] == b"x" * CLUSTER
        assert guest.backend.node is target

    play(scenario)


def test_a_write_that_was_on_its_way_when_the_mirror_began_is_copied(play: Callable[..., None]) -> None:
    async def scenario(bench: MirrorBench) -> None:
        (top,) = await bench.make_chain(SIZE)
        await top.pwrite(0, memoryview(b"old" * CLUSTER)[:CLUSTER])
        target = await bench.engine.add("target", "t", size=SIZE)
        guest = await bench.make_guest(top)
        file: Any = bench.graph.find("n0-file").driver
        begun, go_on, store = asyncio.Event(), asyncio.Event(), file.pwrite

        async def store_late(offset: int, data: memoryview, flags: int) -> None:
            begun.set()
            await go_on.wait()
            await store(offset, data, flags)

        file.pwrite = store_late
        writing = asyncio.ensure_future(guest.backend.pwrite(0, memoryview(b"n" * CLUSTER)))
        await begun.wait()
        starting = asyncio.ensure_future(bench.mirror(top, target))
        for _ in range(60):
            await bench.tick()
        go_on.set()
        job = await starting
        await writing
        await bench.until(job, "ready")
        assert (await content(target))[:CLUSTER] == b"n" * CLUSTER
        await job.cancel()

    play(scenario)


def test_nobody_else_may_write_what_is_mirrored(play: Callable[..., None]) -> None:
    async def scenario(bench: MirrorBench) -> None:
        (top,) = await bench.make_chain(SIZE)
        target = await bench.engine.add("target", "t", size=SIZE)
        job = await bench.mirror(top, target)
        with pytest.raises(QMPError, match="Permission conflict on node 'n0'"):
            await bench.make_guest(top)
        await job.cancel()
        await bench.until(job, "null")
        await bench.make_guest(top)

    play(scenario)


def test_a_place_that_cannot_be_taken_is_left_to_whom_it_was(play: Callable[..., None]) -> None:
    async def scenario(bench: MirrorBench) -> None:
        (top,) = await bench.make_chain(SIZE)
        target = await bench.engine.add("target", "t", size=SIZE)
        guest = await bench.make_guest(top)

        async def refuse(_source: Any, _target: Any) -> None:
            raise QMPError("no")

        job = await bench.mirror(top, target, give_backing=refuse)
        await bench.until(job, "ready")
        await job.complete()
        await bench.until(job, "null")
        assert bench.story()[-4:] == ["aborting", "COMPLETED", "concluded", "null"]
        assert job.error == "no"
        assert guest.backend.node is top
        await guest.use(20)
        assert_untouched(bench)

    play(scenario)


def test_a_target_of_another_size_is_refused_when_the_job_runs(play: Callable[..., None]) -> None:
    async def scenario(bench: MirrorBench) -> None:
        (top,) = await bench.make_chain(SIZE)
        target = await bench.engine.add("target", "t", size=SIZE // 2)
        job = await bench.mirror(top, target)
        assert job.error == "Source and target image have different sizes"
        assert_untouched(bench)

    play(scenario)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_asked_of_mirrors_at_any_moment_the_guest_finds_what_it_stored(
    play: Callable[..., None], seed: int
) -> None:
    async def scenario(bench: MirrorBench) -> None:
        dice = bench.dice
        (first,) = await bench.make_chain(SIZE)
        second = await bench.engine.add("other", "o", size=SIZE, discard="unmap")
        if seed % 2:
            bench.let_host_copy()
        guest = await bench.make_guest(first)
        users: list[asyncio.Future[None]] = []
        for _ in range(60):
            users = [user for user in users if not user.done()]
            if len(users) < 3:
                users.append(asyncio.ensure_future(guest.use(dice.randrange(30))))
            job: Any = bench.jobs.get("j")
            if job is None:
                node = guest.backend.node
                other = second if node is first else first
                await bench.mirror(
                    node,
                    other,
                    copy_mode=dice.choice(list(CopyMode)),
                    auto_finalize=dice.random() < 0.5,
                    auto_dismiss=dice.random() < 0.5,
                    granularity=dice.choice((512, CLUSTER, 8 * CLUSTER)),
                )
                continue
            likely = {
                "ready": job.complete,
                "pending": partial(bench.jobs.finalize, job),
                "concluded": partial(bench.jobs.dismiss, job),
            }.get(job.status.value, job.user_resume)
            verbs: list[Callable[[], Any]] = [
                job.user_pause,
                job.complete,
                partial(job.cancel, force=dice.random() < 0.3),
                partial(job.set_speed, dice.choice((0, CLUSTER * 100))),
                partial(job.change, CopyMode.WRITE_BLOCKING),
            ]
            verb = likely if dice.random() < 0.6 else dice.choice(verbs)
            with contextlib.suppress(QMPError):
                if verb == job.complete:
                    job.check_verb(JobVerb.COMPLETE)
                outcome = verb()
                if outcome is not None:
                    await outcome
            for _ in range(dice.randrange(24)):
                await bench.tick()
        await bench.jobs.cancel_all()
        await asyncio.gather(*users)
        assert await content(guest.backend.node) == guest.model
        assert_untouched(bench)

    play(scenario, seed)
