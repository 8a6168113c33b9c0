"""Members of a group wait their turn, are served one after the other, and go at once when drained."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from qmpserver.clock import ManualClock
from qmpserver.throttling.buckets import Direction
from qmpserver.throttling.group import ThrottleGroup, ThrottleMember
from qmpserver.throttling.limits import ThrottleLimits

SECOND = 1_000_000_000
READ, WRITE = Direction.READ, Direction.WRITE


class World:
    """A group of two requests a second, and who has passed when."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.group = ThrottleGroup(ThrottleLimits().changed({"iops-total": 2}), self.clock)
        self.passed: list[tuple[str, float]] = []

    def ask(self, member: ThrottleMember, name: str, direction: Direction = READ) -> "asyncio.Task[None]":
        async def wait() -> None:
            await member.admit(direction, 512)
            self.passed.append((name, self.clock.monotonic_ns() / SECOND))

        return asyncio.create_task(wait())

    async def settle(self, seconds: float = 0) -> None:
        """Let time pass in small steps, and everybody do what can be done."""
        for _ in range(int(seconds * 10)):
            self.clock.advance(SECOND // 10)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        for _ in range(4):
            await asyncio.sleep(0)


def play(body: Callable[[World], Awaitable[None]]) -> World:
    async def whole() -> World:
        world = World()
        await body(world)
        return world

    return asyncio.run(whole())


def test_the_members_are_served_in_turn_however_much_each_asks() -> None:
    async def body(world: World) -> None:
        a, b, c = world.group.join(), world.group.join(), world.group.join()
        tasks = [world.ask(a, "a") for _ in range(4)] + [world.ask(b, "b") for _ in range(2)]
        tasks += [world.ask(c, "c")]
        await world.settle(5)
        assert all(task.done() for task in tasks)

    passed = play(body).passed
    assert "".join(name for name, _ in passed) == "abcabaa"
    assert [at for _, at in passed] == pytest.approx([0, 0.4, 0.9, 1.4, 1.9, 2.4, 2.9], abs=0.11)


def test_a_request_that_need_not_wait_passes_at_once() -> None:
    async def body(world: World) -> None:
        member = world.group.join()
        for _ in range(3):
            await member.admit(READ, 512)
            world.clock.advance(SECOND)

    play(body)


def test_a_drained_member_waits_for_nothing_and_what_passed_is_paid_for() -> None:
    async def body(world: World) -> None:
        member, other = world.group.join(), world.group.join()
        tasks = [world.ask(member, "m") for _ in range(4)]
        await world.settle()
        assert len(world.passed) == 1
        member.drain_begin()
        await world.settle()
        assert len(world.passed) == 4
        await member.admit(WRITE, 512)
        member.drain_end()
        late = world.ask(other, "o")
        await world.settle(2.2)
        assert not late.done()
        await world.settle(0.5)
        assert late.done()
        assert all(task.done() for task in tasks)

    play(body)


def test_new_limits_hold_at_once() -> None:
    async def body(world: World) -> None:
        member = world.group.join()
        tasks = [world.ask(member, "m") for _ in range(5)]
        await world.settle()
        assert len(world.passed) == 1
        world.group.limits = ThrottleLimits()
        await world.settle()
        assert all(task.done() for task in tasks)

    play(body)


def test_a_request_that_was_called_off_takes_nobodys_turn() -> None:
    async def body(world: World) -> None:
        member = world.group.join()
        await world.ask(member, "first")
        doomed, last = world.ask(member, "doomed"), world.ask(member, "last")
        await world.settle()
        doomed.cancel()
        await world.settle(0.6)
        assert last.done()

    assert [name for name, _ in play(body).passed] == ["first", "last"]


def test_a_member_that_left_is_not_waited_for() -> None:
    async def body(world: World) -> None:
        gone, member = world.group.join(), world.group.join()
        await world.ask(gone, "gone")
        gone.leave()
        task = world.ask(member, "m")
        await world.settle(1)
        assert task.done()

    play(body)
