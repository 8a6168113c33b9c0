"""Whatever requests come, no stretch of time lets through more than the buckets allow."""

from hypothesis import given, settings
from hypothesis import strategies as st

from qmpserver.throttling.buckets import Buckets, Direction
from qmpserver.throttling.limits import ThrottleLimits
from qmpserver.units import NS_PER_SECOND

READ, WRITE = Direction.READ, Direction.WRITE


def buckets(**members: int) -> Buckets:
    limits = ThrottleLimits().changed({name.replace("_", "-"): value for name, value in members.items()})
    limits.check()
    return Buckets(limits, 0)


def test_without_limits_nothing_waits() -> None:
    free = buckets()
    for _ in range(100):
        assert free.wait_ns(READ, 0) == 0
        free.account(READ, 1 << 30)


def test_a_tenth_of_a_seconds_worth_passes_at_once_and_then_the_rate_holds() -> None:
    slow = buckets(bps_total=1000)
    passed = 0
    while not slow.wait_ns(READ, 0):
        slow.account(READ, 10)
        passed += 10
    assert passed == 110  # a full bucket, and one request more
    assert slow.wait_ns(WRITE, 0) == NS_PER_SECOND // 100


def test_directions_have_buckets_of_their_own() -> None:
    slow = buckets(bps_read=1000)
    slow.account(READ, 2000)
    assert slow.wait_ns(READ, 0) == 1_900_000_000
    assert slow.wait_ns(WRITE, 0) == 0


def test_a_burst_lasts_as_long_as_it_may() -> None:
    burst = buckets(iops_total=10, iops_total_max=100, iops_total_max_length=3)
    now_ns = passed = 0
    while now_ns < 10 * NS_PER_SECOND:
        wait_ns = burst.wait_ns(WRITE, now_ns)
        now_ns += wait_ns
        if not wait_ns:
            burst.account(WRITE, 512)
            passed += 1
    # 300 of the burst, 100 in the long run, and what the two buckets let through at once.
    assert 390 <= passed <= 412


def test_a_large_request_counts_for_several() -> None:
    slow = buckets(iops_total=10, iops_size=4096)
    slow.account(READ, 4096 * 5)
    assert slow.wait_ns(READ, 0) == 400_000_000
    slow.account(READ, 100)
    assert slow.wait_ns(READ, 0) == 500_000_000


@settings(max_examples=60)
@given(
    rate=st.integers(1, 100_000),
    burst=st.integers(0, 5),
    length=st.integers(1, 4),
    requests=st.lists(st.tuples(st.integers(1, 200_000), st.integers(0, NS_PER_SECOND)), max_size=40),
)
def test_no_stretch_of_time_has_more_than_the_bucket_and_the_rate_allow(
    rate: int, burst: int, length: int, requests: list[tuple[int, int]]
) -> None:
    high = rate * (burst + 1) if burst else 0
    slow = buckets(bps_total=rate, bps_total_max=high, bps_total_max_length=length if high else 1)
    room = high * length if high else rate / 10
    now_ns = 0
    passed: list[tuple[int, int]] = []
    for size, pause_ns in requests:
        now_ns += pause_ns
        while wait_ns := slow.wait_ns(READ, now_ns):
            now_ns += wait_ns
        slow.account(READ, size)
        passed.append((now_ns, size))
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            seconds = (passed[last][0] - passed[first][0]) / NS_PER_SECOND
            # The last one may overfill the bucket; those after it pay for that.
            total = sum(size for _, size in passed[first:last])
            assert total <= room + rate * seconds + 1
            if high and length > 1:
                assert total <= high / 10 + high * seconds + 1
