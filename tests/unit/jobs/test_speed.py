"""A job keeps to its speed over any stretch of time, and may use up a slice at once."""

from hypothesis import given
from hypothesis import strategies as st

from qmpserver.jobs.speed import SLICE_NS, SpeedLimit
from qmpserver.units import NS_PER_SECOND, MiB


def test_no_limit_never_rests() -> None:
    limit = SpeedLimit()
    assert not limit.is_limited
    assert limit.account(1 << 40, 0) == 0


def test_what_exceeds_the_slice_is_paid_for_in_whole_slices() -> None:
    limit = SpeedLimit()
    limit.set_speed(10 * MiB)
    assert limit.account(MiB - 1, 0) == 0
    assert limit.account(1, 0) == SLICE_NS
    assert limit.account(MiB, SLICE_NS) == SLICE_NS


def test_a_changed_speed_counts_at_once() -> None:
    limit = SpeedLimit()
    limit.set_speed(1)
    assert limit.account(100, 0) > 0
    limit.set_speed(0)
    assert limit.account(1 << 30, 1) == 0


@given(st.integers(1, 1 << 30), st.lists(st.integers(1, 4 * MiB), min_size=5, max_size=50))
def test_the_speed_is_kept_over_any_number_of_pieces(speed_bps: int, pieces: list[int]) -> None:
    limit = SpeedLimit()
    limit.set_speed(speed_bps)
    now_ns = 1
    for piece in pieces:
        now_ns += limit.account(piece, now_ns)
    quota = max(speed_bps * SLICE_NS // NS_PER_SECOND, 1)
    assert sum(pieces) <= quota * (now_ns // SLICE_NS + 2)
