"""Tracked requests wait for the earlier ones they conflict with, and for nothing else."""

import asyncio

from qmpserver.block.requests import TrackedRequests


def test_ordinary_requests_do_not_wait_for_each_other() -> None:
    requests = TrackedRequests()
    requests.begin(0, 100)
    requests.begin(0, 100)
    assert not requests.serialising
    assert len(requests) == 2


def test_a_serialising_request_waits_for_an_earlier_overlapping_one() -> None:
    async def scenario() -> None:
        requests = TrackedRequests()
        first = requests.begin(0, 100)
        second = requests.begin_serialising(99, 200)
        turn = asyncio.create_task(requests.turn(second))
        await asyncio.sleep(0)
        assert not turn.done()
        requests.end(first)
        await turn

    asyncio.run(scenario())


def test_a_request_that_does_not_overlap_is_not_held_back() -> None:
    async def scenario() -> None:
        requests = TrackedRequests()
        requests.begin_serialising(0, 100)
        later = requests.begin(100, 200)
        assert requests.serialising
        await requests.turn(later)

    asyncio.run(scenario())


def test_an_ordinary_request_does_not_overtake_a_waiting_serialising_one() -> None:
    async def scenario() -> None:
        requests = TrackedRequests()
        first = requests.begin(0, 10)
        second = requests.begin_serialising(0, 10)
        third = requests.begin(0, 10)
        turns = [asyncio.create_task(requests.turn(request)) for request in (second, third)]
        await asyncio.sleep(0)
        requests.end(first)
        await turns[0]
        await asyncio.sleep(0)
        assert not turns[1].done()
        requests.end(second)
        await turns[1]

    asyncio.run(scenario())


def test_a_request_given_up_while_waiting_lets_the_next_one_pass() -> None:
    async def scenario() -> None:
        requests = TrackedRequests()
        first = requests.begin_serialising(0, 10)
        second = requests.begin_serialising(0, 10)
        third = requests.begin_serialising(0, 10)
        turns = [asyncio.create_task(requests.turn(request)) for request in (second, third)]
        await asyncio.sleep(0)
        turns[0].cancel()
        requests.end(second)
        requests.end(first)
        await turns[1]

    asyncio.run(scenario())


def test_the_latest_request_may_become_serialising_over_more() -> None:
    async def scenario() -> None:
        requests = TrackedRequests()
        first, second = requests.begin(0, 10), requests.begin(10, 20)
        assert not requests.make_serialising(first, 0, 16)
        assert requests.make_serialising(second, 0, 32)
        assert requests.serialising
        turn = asyncio.create_task(requests.turn(second))
        third = asyncio.create_task(requests.turn(requests.begin(30, 31)))
        await asyncio.sleep(0)
        assert not turn.done()
        requests.end(first)
        assert await turn
        assert not third.done()
        requests.end(second)
        assert await third
        assert not requests.serialising

    asyncio.run(scenario())


def test_a_turn_says_whether_there_was_anyone_to_wait_for() -> None:
    async def scenario() -> None:
        requests = TrackedRequests()
        request = requests.begin(64, 70)
        assert requests.make_serialising(request, 64, 128)
        assert not await requests.turn(request)

    asyncio.run(scenario())
