"""The last while is remembered by two windows."""

from qmpserver.machine.media.timed_average import TimedAverage

PERIOD = 1000


def test_least_largest_and_mean_are_of_what_came_in() -> None:
    average = TimedAverage(PERIOD, 0)
    for value, now in ((5, 10), (1, 20), (9, 30)):
        average.account(value, now)
    assert (average.low(40), average.high(40), average.mean(40)) == (1, 9, 5)


def test_nothing_is_nought() -> None:
    average = TimedAverage(PERIOD, 0)
    assert (average.low(1), average.high(1), average.mean(1), average.share(1)) == (0, 0, 0, 0)


def test_what_is_older_than_a_period_is_forgotten() -> None:
    average = TimedAverage(PERIOD, 0)
    average.account(100, 10)
    average.account(7, 990)
    assert average.high(999) == 100
    assert average.high(1010) == 7
    assert average.high(5000) == 0


def test_what_is_younger_than_half_a_period_is_remembered() -> None:
    average = TimedAverage(PERIOD, 0)
    for now in range(0, 10_000, 100):
        average.account(now, now)
        assert average.high(now) == now
        assert average.low(now) <= max(now - 400, 0)
        assert average.low(now) >= now - PERIOD


def test_the_share_is_the_sum_by_the_time_it_took() -> None:
    average = TimedAverage(PERIOD, 0)
    average.account(PERIOD, 600)
    average.account(PERIOD, 900)
    assert average.share(900) == 2000 / 900
