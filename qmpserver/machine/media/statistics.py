"""Count what a device asks of its medium, as ``query-blockstats`` shows it."""

import enum
from collections import Counter
from collections.abc import Sequence
from typing import Any

from qmpserver.machine.media.latency_histogram import LatencyHistogram
from qmpserver.machine.media.timed_average import TimedAverage
from qmpserver.units import NS_PER_SECOND


class RequestKind(enum.Enum):
    """What a request is counted as; the values are what the wire's members begin with."""

    READ = "rd"
    WRITE = "wr"
    FLUSH = "flush"
    UNMAP = "unmap"
    ZONE_APPEND = "zone_append"


WITH_BYTES = (RequestKind.READ, RequestKind.WRITE, RequestKind.UNMAP, RequestKind.ZONE_APPEND)
TIMED = (RequestKind.READ, RequestKind.WRITE, RequestKind.ZONE_APPEND, RequestKind.FLUSH)
"""Kinds whose latency is shown over intervals and in histograms."""


class _Interval:
    """What happened within the last while, by kind."""

    def __init__(self, length_s: int, now_ns: int) -> None:
        self.length_s = length_s
        self._latencies = {kind: TimedAverage(length_s * NS_PER_SECOND, now_ns) for kind in RequestKind}

    def account(self, kind: RequestKind, latency_ns: int, now_ns: int) -> None:
        self._latencies[kind].account(latency_ns, now_ns)

    def to_wire(self, now_ns: int) -> dict[str, Any]:
        """Shape it as ``BlockDeviceTimedStats``."""
        wire: dict[str, Any] = {"interval_length": self.length_s}
        for kind in TIMED:
            average = self._latencies[kind]
            wire[f"min_{kind.value}_latency_ns"] = average.low(now_ns)
            wire[f"max_{kind.value}_latency_ns"] = average.high(now_ns)
            wire[f"avg_{kind.value}_latency_ns"] = average.mean(now_ns)
            if kind is not RequestKind.FLUSH:
                wire[f"avg_{kind.value}_queue_depth"] = average.share(now_ns)
        return wire


class DriveStatistics:
    """What is counted of one drive.

    Attributes:
        accounts_invalid: A request that makes no sense counts as use of the drive.
        accounts_failed: A request that failed counts as use of the drive, with its time.
    """

    def __init__(self) -> None:
        self.accounts_invalid = True
        self.accounts_failed = True
        self._bytes: Counter[RequestKind] = Counter()
        self._operations: Counter[RequestKind] = Counter()
        self._failed: Counter[RequestKind] = Counter()
        self._invalid: Counter[RequestKind] = Counter()
        self._merged: Counter[RequestKind] = Counter()
        self._time_ns: Counter[RequestKind] = Counter()
        self._histograms: dict[RequestKind, LatencyHistogram] = {}
        self._intervals: list[_Interval] = []
        self._used_ns: int | None = None

    # What happens

    def done(self, kind: RequestKind, length: int, began_ns: int, now_ns: int) -> None:
        """Count a request that ended well."""
        self._bytes[kind] += length
        self._operations[kind] += 1
        self._took(kind, now_ns - began_ns, now_ns, counts=True)

    def failed(self, kind: RequestKind, began_ns: int, now_ns: int) -> None:
        """Count a request that failed."""
        self._failed[kind] += 1
        self._took(kind, now_ns - began_ns, now_ns, counts=self.accounts_failed)

    def invalid(self, kind: RequestKind, now_ns: int) -> None:
        """Count a request that makes no sense, as one past the end."""
        self._invalid[kind] += 1
        if self.accounts_invalid:
            self._used_ns = now_ns

    def merged(self, kind: RequestKind, requests: int) -> None:
        """Count requests that were joined to others."""
        self._merged[kind] += requests

    def _took(self, kind: RequestKind, latency_ns: int, now_ns: int, *, counts: bool) -> None:
        if (histogram := self._histograms.get(kind)) is not None:
            histogram.account(latency_ns)
        if not counts:
            return
        self._time_ns[kind] += latency_ns
        self._used_ns = now_ns
        for interval in self._intervals:
            interval.account(kind, latency_ns, now_ns)

    # What is wanted

    def add_interval(self, length_s: int, now_ns: int) -> None:
        """Keep an account of the last so many seconds, too."""
        self._intervals.append(_Interval(length_s, now_ns))

    def set_histogram(self, kind: RequestKind, boundaries: Sequence[int]) -> None:
        """Count latencies of a kind in bins, from now on; the old bins are forgotten.

        Raises:
            ValueError: The boundaries do not rise; the old bins stay.
        """
        self._histograms[kind] = LatencyHistogram(boundaries)

    def clear_histograms(self) -> None:
        """Count latencies in bins no longer."""
        self._histograms.clear()

    # What is shown

    def to_wire(self, now_ns: int) -> dict[str, Any]:
        """Shape it as ``BlockDeviceStats``, but for the highest offset, which is the medium's."""
        wire: dict[str, Any] = {
            "account_invalid": self.accounts_invalid,
            "account_failed": self.accounts_failed,
            "timed_stats": [interval.to_wire(now_ns) for interval in self._intervals],
        }
        for kind in RequestKind:
            name = kind.value
            wire[f"{name}_operations"] = self._operations[kind]
            wire[f"{name}_total_time_ns"] = self._time_ns[kind]
            wire[f"failed_{name}_operations"] = self._failed[kind]
            wire[f"invalid_{name}_operations"] = self._invalid[kind]
        for kind in WITH_BYTES:
            wire[f"{kind.value}_bytes"] = self._bytes[kind]
            wire[f"{kind.value}_merged"] = self._merged[kind]
        for kind, histogram in self._histograms.items():
            wire[f"{kind.value}_latency_histogram"] = histogram.to_wire()
        if self._used_ns is not None:
            wire["idle_time_ns"] = now_ns - self._used_ns
        return wire
