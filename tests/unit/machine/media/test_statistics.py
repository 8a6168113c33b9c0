"""Requests are counted as QEMU counts them."""

from typing import Any

import pytest

from qmpserver.machine.media.latency_histogram import LatencyHistogram
from qmpserver.machine.media.statistics import DriveStatistics, RequestKind
from qmpserver.schema.conform import conform
from qmpserver.units import NS_PER_SECOND
from tests.unit.machine.media.fake_device import SCHEMA


def shown(statistics: DriveStatistics, now_ns: int = 0) -> dict[str, Any]:
    wire = statistics.to_wire(now_ns)
    conform(SCHEMA.type("BlockDeviceStats").type, {**wire, "wr_highest_offset": 0}, "stats")
    return wire


def test_a_request_adds_to_bytes_operations_and_time() -> None:
    statistics = DriveStatistics()
    statistics.done(RequestKind.WRITE, 512, 100, 150)
    statistics.done(RequestKind.WRITE, 1024, 200, 203)
    wire = shown(statistics, 303)
    assert (wire["wr_bytes"], wire["wr_operations"], wire["wr_total_time_ns"]) == (1536, 2, 53)
    assert wire["idle_time_ns"] == 100
    assert wire["rd_operations"] == 0


@pytest.mark.parametrize(("accounts", "time_ns"), [(True, 50), (False, 0)])
def test_a_failed_request_counts_as_use_where_that_is_wanted(accounts: bool, time_ns: int) -> None:
    statistics = DriveStatistics()
    statistics.accounts_failed = accounts
    statistics.failed(RequestKind.READ, 100, 150)
    wire = shown(statistics, 200)
    assert (wire["failed_rd_operations"], wire["rd_operations"]) == (1, 0)
    assert wire["rd_total_time_ns"] == time_ns
    assert ("idle_time_ns" in wire) is accounts


@pytest.mark.parametrize("accounts", [True, False])
def test_a_senseless_request_counts_as_use_where_that_is_wanted(accounts: bool) -> None:
    statistics = DriveStatistics()
    statistics.accounts_invalid = accounts
    statistics.invalid(RequestKind.UNMAP, 7)
    wire = shown(statistics, 10)
    assert wire["invalid_unmap_operations"] == 1
    assert wire.get("idle_time_ns") == (3 if accounts else None)


def test_joined_requests_are_counted() -> None:
    statistics = DriveStatistics()
    statistics.merged(RequestKind.READ, 3)
    assert shown(statistics)["rd_merged"] == 3


def test_an_interval_shows_the_latencies_within_it() -> None:
    statistics = DriveStatistics()
    statistics.add_interval(2, 0)
    statistics.done(RequestKind.READ, 1, 0, NS_PER_SECOND // 2)
    statistics.done(RequestKind.FLUSH, 0, 0, 5)
    (timed,) = shown(statistics, NS_PER_SECOND // 2)["timed_stats"]
    assert timed["interval_length"] == 2
    assert timed["avg_rd_latency_ns"] == timed["min_rd_latency_ns"] == NS_PER_SECOND // 2
    assert timed["avg_rd_queue_depth"] > 0
    assert "avg_flush_queue_depth" not in timed
    (timed,) = shown(statistics, 9 * NS_PER_SECOND)["timed_stats"]
    assert timed["max_rd_latency_ns"] == 0


def test_a_histogram_counts_from_when_it_is_set() -> None:
    statistics = DriveStatistics()
    statistics.done(RequestKind.READ, 1, 0, 15)
    statistics.set_histogram(RequestKind.READ, [10, 20])
    for latency in (9, 10, 19, 20, 1000):
        statistics.done(RequestKind.READ, 1, 0, latency)
    statistics.failed(RequestKind.READ, 0, 12)
    assert shown(statistics)["rd_latency_histogram"] == {"boundaries": [10, 20], "bins": [1, 3, 2]}
    statistics.clear_histograms()
    assert "rd_latency_histogram" not in shown(statistics)


@pytest.mark.parametrize("boundaries", [[], [0], [1, 1], [2, 1]])
def test_boundaries_that_do_not_rise_are_refused(boundaries: list[int]) -> None:
    with pytest.raises(ValueError, match="rise"):
        LatencyHistogram(boundaries)
