"""Hold one count for every host cluster, compactly, and change long runs of them at once.

A byte holds a count up to 254; the few that are higher are kept beside.
"""

from collections.abc import Iterator

LARGE = 255
"""The byte that says: the count is kept beside."""

_RAISED = bytes([*range(1, LARGE), 0, 0])
_STEP = 1 << 16


class ClusterCounts:
    """Counts of an image's host clusters.

    Args:
        clusters: How many clusters there are.
    """

    __slots__ = ("large", "small")

    def __init__(self, clusters: int) -> None:
        self.small = bytearray(clusters)
        self.large: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.small)

    def copy(self) -> "ClusterCounts":
        """Return the same counts, which then change on their own."""
        copied = ClusterCounts(0)
        copied.small[:] = self.small
        copied.large.update(self.large)
        return copied

    def get(self, cluster: int) -> int:
        """Return the count of a cluster; 0 for one past the end."""
        if cluster >= len(self.small):
            return 0
        small = self.small[cluster]
        return self.large[cluster] if small == LARGE else small

    def put(self, cluster: int, count: int) -> None:
        """Set the count of a cluster; there is room for one past the end."""
        if cluster >= len(self.small):
            self.small.extend(bytes(cluster + 1 - len(self.small)))
        if count < LARGE:
            self.small[cluster] = count
        else:
            self.small[cluster] = LARGE
            self.large[cluster] = count

    def raise_run(self, first: int, count: int, maximum: int) -> int:
        """Add one to each of a run of clusters.

        Args:
            first: The first cluster.
            count: How many clusters.
            maximum: What no count can exceed.

        Returns:
            How many had reached `maximum` before, and stay there.
        """
        end = first + count
        run = self.small[first:end]
        if len(run) == count and run.count(0) == count:
            self.small[first:end] = b"\1" * count
            return 0
        if len(run) == count and maximum >= LARGE and LARGE - 1 not in run and LARGE not in run:
            self.small[first:end] = run.translate(_RAISED)
            return 0
        overflows = 0
        for cluster in range(first, end):
            before = self.get(cluster)
            if before >= maximum:
                overflows += 1
            else:
                self.put(cluster, before + 1)
        return overflows

    def shift(self, other: "ClusterCounts", sign: int) -> int:
        """Add, or take away, the counts in `other`, cluster by cluster.

        Args:
            other: What to add.
            sign: 1 or -1.

        Returns:
            The highest count that came about; negative when something was taken that was not there.
        """
        highest, lowest = 0, 0
        for start in range(0, len(other), _STEP):
            part = other.small[start : start + _STEP]
            if part.count(0) == len(part):
                continue
            own = self.small[start : start + len(part)]
            shifted = _shift_all(own, part, sign) if len(own) == len(part) else None
            if shifted is not None:
                self.small[start : start + len(part)] = shifted
                highest = max(highest, *shifted)
                continue
            for cluster, small in enumerate(part, start):
                if small:
                    count = self.get(cluster) + sign * other.get(cluster)
                    highest, lowest = max(highest, count), min(lowest, count)
                    self.put(cluster, max(count, 0))
        return lowest or highest

    def all_are(self, first: int, count: int, value: int) -> bool:
        """Say whether each of a run of clusters has the count `value`, which is below 255."""
        return self.small.count(value, first, first + count) == count

    def differences(self, other: "ClusterCounts") -> Iterator[int]:
        """Return the clusters whose counts differ from those in `other`, which is as long."""
        for start in range(0, len(self.small), _STEP):
            end = min(start + _STEP, len(self.small))
            if self.small[start:end] == other.small[start:end] and not self.large and not other.large:
                continue
            yield from (cluster for cluster in range(start, end) if self.get(cluster) != other.get(cluster))

    def first_above(self, maximum: int) -> int | None:
        """Return the first cluster whose count is higher than `maximum`, if there is one."""
        above = [cluster for cluster, count in self.large.items() if count > maximum]
        if maximum < LARGE:
            above += [cluster for cluster, small in enumerate(self.small) if maximum < small < LARGE]
        return min((cluster for cluster in above if self.get(cluster) > maximum), default=None)

    def last_used(self) -> int:
        """Return the last cluster whose count is not zero, or -1."""
        end = len(self.small)
        while end:
            start = max(end - _STEP, 0)
            if used := len(self.small[start:end].rstrip(b"\0")):
                return start + used - 1
            end = start
        return -1

    def find_free(self, start: int) -> int:
        """Return the first cluster at or after `start` whose count is zero, perhaps past the end."""
        found = self.small.find(0, start)
        return found if found >= 0 else max(start, len(self.small))


def _shift_all(own: bytearray, other: bytearray, sign: int) -> bytes | None:
    """Add or take away all bytes at once, as one long number; None where a byte would overflow or underflow."""
    if not own.isascii() or not other.isascii():
        return None
    length = len(own)
    left, right = int.from_bytes(own, "big"), int.from_bytes(other, "big")
    if sign > 0:
        return (left + right).to_bytes(length, "big")
    top_bits = int.from_bytes(b"\x80" * length, "big")
    # A top bit is borrowed from where a byte is less than what is taken from it.
    difference = (left | top_bits) - right
    if difference & top_bits != top_bits:
        return None
    return (difference ^ top_bits).to_bytes(length, "big")
