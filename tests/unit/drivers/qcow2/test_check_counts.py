"""Counts of clusters, one by one and many at once."""

import random

import pytest

from qmpserver.drivers.qcow2.check_counts import ClusterCounts


def filled(values: list[int]) -> ClusterCounts:
    counts = ClusterCounts(len(values))
    for cluster, value in enumerate(values):
        counts.put(cluster, value)
    return counts


def values_of(counts: ClusterCounts) -> list[int]:
    return [counts.get(cluster) for cluster in range(len(counts))]


@pytest.mark.parametrize("most", [1, 2, 100, 127, 128, 253, 254, 255, 256, 70000])
@pytest.mark.parametrize("sign", [1, -1])
def test_counts_are_shifted_by_other_counts(most: int, sign: int) -> None:
    rng = random.Random(most)
    own = [rng.randrange(most + 1) for _ in range(3000)]
    other = [rng.randrange(most + 1) for _ in range(3000)]
    if sign < 0:
        own = [mine + theirs for mine, theirs in zip(own, other, strict=True)]
    counts = filled(own)
    highest = counts.shift(filled(other), sign)
    expected = [mine + sign * theirs for mine, theirs in zip(own, other, strict=True)]
    assert values_of(counts) == expected
    assert highest >= max((new for new, theirs in zip(expected, other, strict=True) if theirs), default=0)


@pytest.mark.parametrize("before", [0, 5, 300])
def test_taking_away_what_is_not_there_is_told(before: int) -> None:
    counts = filled([9, before, 9])
    assert counts.shift(filled([0, before + 1, 0]), -1) < 0
    assert values_of(counts) == [9, 0, 9]


@pytest.mark.parametrize("maximum", [1, 15, 254, 255, 65535])
def test_no_count_is_raised_over_its_maximum(maximum: int) -> None:
    start = [0, 1, 2, 14, 15, 253, 254, 255, 256, 65534, 65535]
    start = [value for value in start if value <= maximum]
    counts = filled(start)
    full = counts.raise_run(0, len(start), maximum)
    assert full == start.count(maximum)
    assert values_of(counts) == [min(value + 1, maximum) for value in start]


def test_a_run_of_unused_clusters_is_raised_to_one() -> None:
    counts = ClusterCounts(10)
    assert counts.raise_run(2, 5, 1) == 0
    assert values_of(counts) == [0, 0, 1, 1, 1, 1, 1, 0, 0, 0]
    assert counts.all_are(2, 5, 1)
    assert not counts.all_are(2, 6, 1)


def test_the_last_used_and_the_first_free_cluster_are_found() -> None:
    counts = filled([1, 0, 300, 0, 0])
    assert counts.last_used() == 2
    assert (counts.find_free(0), counts.find_free(2), counts.find_free(9)) == (1, 3, 9)
    assert ClusterCounts(3).last_used() == -1


def test_counts_that_differ_are_found() -> None:
    ours, theirs = filled([1, 2, 300, 400, 255]), filled([1, 3, 300, 401, 255])
    assert list(ours.differences(theirs)) == [1, 3]
    assert list(filled([7] * 5).differences(filled([7] * 4 + [8]))) == [4]


@pytest.mark.parametrize(("maximum", "expected"), [(1, 1), (2, 2), (254, 2), (299, 2), (300, None)])
def test_the_first_count_above_a_limit_is_found(maximum: int, expected: int | None) -> None:
    assert filled([1, 2, 300, 255, 0]).first_above(maximum) == expected


@pytest.mark.parametrize("last", [0, 65535, 65536, 199_998])
def test_the_last_used_cluster_is_found_far_before_the_end(last: int) -> None:
    counts = ClusterCounts(200_000)
    counts.put(0, 1)
    counts.put(last, 300)
    assert counts.last_used() == last
