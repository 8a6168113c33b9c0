"""Work goes on as fast as it may and no faster."""

import asyncio

from qmpserver.cli.img.rate import Rate
from qmpserver.clock import ManualClock
from qmpserver.units import NS_PER_SECOND, MiB


def test_without_a_limit_nothing_waits_and_nothing_is_cut() -> None:
    rate = Rate(ManualClock(), 0)
    assert rate.at_once(2 * MiB) == 2 * MiB
    asyncio.run(rate.admit(1 << 40))


def test_what_is_moved_at_once_is_a_tenth_of_a_second_of_it_in_whole_sectors() -> None:
    assert Rate(ManualClock(), 10 * MiB).at_once(2 * MiB) == MiB
    assert Rate(ManualClock(), 100 * MiB).at_once(2 * MiB) == 2 * MiB
    assert Rate(ManualClock(), 5).at_once(2 * MiB) == 512


def test_each_piece_waits_for_the_time_that_those_before_it_take() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        rate = Rate(clock, MiB)
        await rate.admit(MiB)
        second = asyncio.ensure_future(rate.admit(MiB))
        for _ in range(9):
            clock.advance(NS_PER_SECOND // 10)
            await asyncio.sleep(0)
            assert not second.done()
        clock.advance(NS_PER_SECOND // 10)
        await asyncio.wait_for(second, 1)

    asyncio.run(scenario())
