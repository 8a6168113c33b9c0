"""Find and remember which runs of a file are data and which are holes."""

import errno
import os
from bisect import bisect_right
from typing import NamedTuple

MAX_RUNS = 64
"""Runs that are looked up in one go."""

MAX_REMEMBERED = 4096
"""Runs that are kept in mind of one file."""

END_OF_OFFSETS = 1 << 63


class Run(NamedTuple):
    """A stretch of a file, `start` to `end` in bytes, of one kind."""

    start: int
    end: int
    is_data: bool


def find_runs(fd: int, start: int, end: int, most: int = MAX_RUNS) -> list[Run]:
    """Ask the kernel for the runs that begin with the one at `start`, up to `end` or so, and `most` or one more.

    A file system that cannot tell calls everything data.  What lies past the end of the file is
    a hole.  May block.
    """
    runs: list[Run] = []
    while start < end and len(runs) < most:
        try:
            data = os.lseek(fd, start, os.SEEK_DATA)
        except OSError as error:
            runs.append(Run(start, END_OF_OFFSETS, is_data=error.errno != errno.ENXIO))
            break
        if data > start:
            runs.append(Run(start, data, is_data=False))
        try:
            start = os.lseek(fd, data, os.SEEK_HOLE)
        except OSError as error:
            if error.errno != errno.ENXIO:  # else the file was cut off meanwhile
                raise
            break
        runs.append(Run(data, start, is_data=True))
    return runs or [Run(start, END_OF_OFFSETS, is_data=False)]


class RunCache:
    """Runs found earlier, good until the file changes.

    The owner calls :meth:`changed` when a change begins and when it has ended, and does not store
    what was found while either happened.

    Attributes:
        generation: Grows with every change; to be read before runs are looked up.
    """

    def __init__(self) -> None:
        self.generation = 0
        self._runs: list[Run] = []
        self._starts: list[int] = []

    def changed(self) -> None:
        """Forget everything: the file is changing or has changed."""
        self.generation += 1
        if self._runs:
            self._runs, self._starts = [], []

    def find(self, offset: int) -> Run | None:
        """Return the remembered run that holds `offset`."""
        index = bisect_right(self._starts, offset) - 1
        if index >= 0 and offset < self._runs[index].end:
            return self._runs[index]
        return None

    def store(self, runs: list[Run], generation: int) -> None:
        """Remember runs in ascending order, unless the file changed since `generation` was read.

        They are joined with what is known of the same run already, so that who jumps about in the file soon
        knows all of it.
        """
        if generation != self.generation:
            return
        if len(self._runs) > MAX_REMEMBERED:
            self._runs, self._starts = [], []
        runs = list(runs)
        first = bisect_right(self._starts, runs[0].start) - 1
        if first < 0 or self._runs[first].end < runs[0].start:
            first += 1
        elif self._runs[first].is_data == runs[0].is_data:
            runs[0] = runs[0]._replace(start=self._runs[first].start)
        else:
            first += 1
        after = bisect_right(self._starts, runs[-1].end, first)
        if after > first and self._runs[after - 1].is_data == runs[-1].is_data:
            runs[-1] = runs[-1]._replace(end=max(self._runs[after - 1].end, runs[-1].end))
        elif after > first and self._runs[after - 1].start == runs[-1].end:
            after -= 1
        self._runs[first:after] = runs
        self._starts[first:after] = [run.start for run in runs]
