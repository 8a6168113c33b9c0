"""The loop stays awake for a brisk client, for as long as the window is open, and for no other."""

import asyncio
from collections.abc import Callable

import pytest

from qmpserver import polling
from qmpserver.polling import WINDOW_NS, BusyPoll


class Time:
    """A time that moves on by a tenth of the window whenever it is asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = 10 * WINDOW_NS
        self.asked = 0
        monkeypatch.setattr(polling, "monotonic_ns", self)

    def __call__(self) -> int:
        self.asked += 1
        self.now_ns += WINDOW_NS // 10
        return self.now_ns


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_the_first_command_of_a_client_keeps_nobody_awake(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        time = Time(monkeypatch)
        poll = BusyPoll()
        poll.received()
        poll.replied()
        asked = time.asked
        await turns(20)
        assert time.asked == asked

    asyncio.run(scenario())


@pytest.mark.parametrize("note", [BusyPoll.replied, BusyPoll.cut_short])
def test_after_a_brisk_command_or_half_a_request_the_loop_goes_round_until_the_window_closes(
    note: Callable[[BusyPoll], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        time = Time(monkeypatch)
        poll = BusyPoll()
        poll.replied()
        poll.received()
        note(poll)
        asked = time.asked
        await turns(50)
        assert 8 <= time.asked - asked <= 11

    asyncio.run(scenario())


def test_a_client_that_takes_its_time_is_brisk_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        time = Time(monkeypatch)
        poll = BusyPoll()
        poll.replied()
        poll.received()
        time.now_ns += 2 * WINDOW_NS
        poll.received()
        poll.replied()
        asked = time.asked
        await turns(20)
        assert time.asked == asked

    asyncio.run(scenario())
