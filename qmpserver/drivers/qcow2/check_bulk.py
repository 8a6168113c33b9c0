"""Look at many table entries at once, with NumPy where it is installed.

To load NumPy takes as long as to look at some hundred thousand entries one by one; :func:`expects_many` says
who should ask for it.
"""

import importlib
from array import array
from typing import Any, Final, NamedTuple

from qmpserver.drivers.qcow2.check_counts import LARGE, ClusterCounts
from qmpserver.drivers.qcow2.entries import COMPRESSED, COPIED, OFFSET_MASK

Runs = tuple[tuple[int, int, bool], ...]
"""Parts of the image's file: the first cluster, how many, and whether all entries that lead there are COPIED."""

WORTHWHILE: Final = 1 << 16
"""Entries that are no runs, from which on it is quicker to look at many at once."""

_TELLING: Final = 1 << 12
"""Entries of that kind from which it can be told how many there will be."""

_DENSE: Final = 16
"""Clusters are counted by place, not sorted, where at least one in so many is among them."""


def expects_many(mixed: int, tables: int, all_tables: int) -> bool:
    """Say whether an image has so many entries that are no runs, if it goes on as it has begun.

    Args:
        mixed: Entries of that kind that were found.
        tables: The tables they were found in.
        all_tables: How many tables there are.
    """
    if mixed < min(_TELLING, WORTHWHILE):
        return False
    return mixed * max(all_tables, tables) >= WORTHWHILE * tables


class Counted(NamedTuple):
    """What some entries lead to.

    Attributes:
        allocated: How many of them lead somewhere.
        fragmented: How many of those do not follow the one before.
        next_host: Where the next one would follow.
        runs: Where they lead; None when that is all over the file.
    """

    allocated: int
    fragmented: int
    next_host: int
    runs: Runs | None


class BulkEntries:
    """The arithmetic of one image's L2 entries, many at a time.

    Args:
        numpy: The package.
        cluster_bits: Binary logarithm of the image's cluster size.
    """

    def __init__(self, numpy: Any, cluster_bits: int) -> None:
        self._np = numpy
        self._bits = numpy.uint64(cluster_bits)
        self._size = 1 << cluster_bits

    @classmethod
    def load(cls, cluster_bits: int) -> "BulkEntries | None":
        """Return what looks at an image's entries; None where NumPy is not installed."""
        try:
            return cls(importlib.import_module("numpy"), cluster_bits)
        except ImportError:
            return None

    def odd(self, entries: "array[int]", unusual: int, clusters: int) -> list[int]:
        """Return the indexes of entries that have a bit of `unusual`, or lead beyond so many clusters."""
        np = self._np
        words = np.frombuffer(entries, np.uint64)
        hosts = words & np.uint64(OFFSET_MASK)
        end = clusters * self._size
        if not int(np.bitwise_or.reduce(words)) & unusual and int(hosts.max()) < end:
            return []
        odd = (words & np.uint64(unusual) != 0) | (hosts >= np.uint64(end))
        found: list[int] = np.flatnonzero(odd).tolist()
        return found

    def count(
        self, entries: "array[int]", counts: ClusterCounts, maximum: int, next_host: int
    ) -> Counted | None:
        """Count one reference to the cluster of each entry; entries that lead nowhere are passed over.

        Args:
            entries: Entries none of which is odd.
            counts: Where to count; there is room for all.
            maximum: No count may exceed it, nor need more than a byte.
            next_host: The host offset that an entry has which follows the one before; 0 if there is none.

        Returns:
            What was counted; None, with nothing counted, where some count would become too high.
        """
        np = self._np
        words = np.frombuffer(entries, np.uint64)
        hosts = words & np.uint64(OFFSET_MASK)
        is_there = hosts != 0
        if np.count_nonzero(is_there) < len(hosts):
            words, hosts = words[is_there], hosts[is_there]
        if not len(hosts):
            return Counted(0, 0, next_host, ())
        clusters = (hosts >> self._bits).view(np.int64)
        first, last = int(clusters.min()), int(clusters.max())
        is_dense = last - first < _DENSE * len(clusters)
        if not self._raise(clusters, slice(first, last + 1) if is_dense else None, counts, maximum):
            return None
        fragmented = int(np.count_nonzero(hosts[1:] - hosts[:-1] != np.uint64(self._size)))
        fragmented += next_host not in {0, int(hosts[0])}
        runs = ((first, last + 1 - first, int(words.min()) >= COPIED),) if is_dense else None
        return Counted(len(hosts), fragmented, int(hosts[-1]) + self._size, runs)

    def _raise(self, clusters: Any, dense: slice | None, counts: ClusterCounts, maximum: int) -> bool:
        """Count clusters, all of which may be in a `dense` part; say whether no count became too high."""
        np = self._np
        small = np.frombuffer(counts.small, np.uint8)
        touched: Any = dense
        if dense is not None:
            raised = np.bincount(clusters - dense.start)
        else:
            touched, raised = np.unique(clusters, return_counts=True)
        raised += small[touched]
        # A count that is kept beside shows as 255, and so as too high.
        if int(raised.max()) > min(maximum, LARGE - 1):
            return False
        small[touched] = raised
        return True

    def not_single(self, entries: "array[int]", step: int, counts: ClusterCounts) -> list[int]:
        """Return the indexes of entries that are not marked as COPIED, or lead to no cluster counted once.

        Args:
            entries: An L2 table, with `step` words to an entry.
            step: Words to an entry.
            counts: The stored counts.
        """
        np = self._np
        words = np.frombuffer(entries, np.uint64)[::step]
        clusters = ((words & np.uint64(OFFSET_MASK)) >> self._bits).astype(np.int64)
        is_single = np.frombuffer(counts.small, np.uint8)
        inside = clusters < len(is_single)
        fine = np.zeros(len(words), bool)
        fine[inside] = is_single[clusters[inside]] == 1
        fine &= words >= np.uint64(COPIED)
        concerned = (words & np.uint64(OFFSET_MASK) != 0) & (words & np.uint64(COMPRESSED) == 0)
        found: list[int] = (np.flatnonzero(concerned & ~fine) * step).tolist()
        return found
