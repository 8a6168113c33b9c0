"""A driver of real files that also notes what is written and flushed, so that a tool's run can be cut at any instant."""

import contextlib
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Self

from qmpserver.driver_api.driver import BlockDriver
from qmpserver.driver_api.extras import CopiedRange
from qmpserver.driver_api.opening import OpenContext
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.drivers.file.driver import FileDriver
from tests.contract.power import after_power_cut

TARGET = f"{__name__}:RecordingFileDriver"
"""What stands in the table of drivers in the place of `file`."""


class Recording:
    """What happens to the files of a folder.

    Args:
        folder: All its files are taken as certain as they are now.

    Attributes:
        order: Whose turn it was, for all files together.
    """

    def __init__(self, folder: Path) -> None:
        self.order: list[str] = []
        self._start = {path.name: path.read_bytes() for path in folder.iterdir()}
        self._logs: dict[str, list[tuple[Any, ...]]] = {name: [] for name in self._start}

    @property
    def names(self) -> list[str]:
        """The files' names."""
        return list(self._logs)

    @contextlib.contextmanager
    def running(self) -> Iterator[Self]:
        """Record what is done meanwhile."""
        token = _RECORDING.set(self)
        try:
            yield self
        finally:
            _RECORDING.reset(token)

    def note(self, name: str, *entry: Any) -> int:
        """Note what happens to a file, and return how much had happened to it before."""
        self.order.append(name)
        self._logs[name].append(entry)
        return len(self._logs[name]) - 1

    def flushes(self) -> list[int]:
        """Return the instants just before each flush, when most is at stake."""
        seen: Counter[str] = Counter()
        found = []
        for at, name in enumerate(self.order):
            if self._logs[name][seen[name]][0] == "flush":
                found.append(at)
            seen[name] += 1
        return found

    def after_cut(self, cut: int, rng: random.Random) -> dict[str, bytes]:
        """Return what each file may hold when the power goes after so many entries."""
        done = Counter(self.order[:cut])
        return {
            name: bytes(after_power_cut(self._start[name], log, done[name], rng))
            for name, log in self._logs.items()
        }


_RECORDING: ContextVar[Recording] = ContextVar("recording")


class RecordingFileDriver(FileDriver):
    """A regular file whose changes are noted when they begin, as some may be there, and when they have ended."""

    _recording: Recording
    _name: str

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        """Open the file; it lies in the folder of the recording."""
        driver = await super().open(context)
        driver._recording = _RECORDING.get()
        driver._name = Path(driver.exact_filename or "").name
        return driver

    def _note_write(self, offset: int, data: bytes) -> None:
        self._recording.note(self._name, "write", offset, data)

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        """Store `data`."""
        taken = bytes(data)
        self._note_write(offset, taken)
        await super().pwrite(offset, data, flags)
        self._note_write(offset, taken)

    def pwrite_at_once(self, offset: int, data: memoryview) -> bool:
        """Store `data` in place, if that goes."""
        if not super().pwrite_at_once(offset, data):
            return False
        self._note_write(offset, bytes(data))
        return True

    async def pwritev(self, offset: int, buffers: Sequence[memoryview], flags: int) -> None:
        """Store buffers by one call."""
        taken = b"".join(buffers)
        self._note_write(offset, taken)
        await super().pwritev(offset, buffers, flags)
        self._note_write(offset, taken)

    async def copy_ranges(self, source: BlockDriver, ranges: Sequence[CopiedRange], unit: int) -> bool:
        """Have the host copy, and look at what it stored."""
        is_done = await super().copy_ranges(source, ranges, unit)
        if is_done:
            for _, offset, length in ranges:
                stored = bytearray(length)
                await self.pread(offset, memoryview(stored), 0)
                self._note_write(offset, bytes(stored))
        return is_done

    async def pwrite_zeroes(self, offset: int, length: int, flags: int) -> None:
        """Make the range zero."""
        self._note_write(offset, bytes(length))
        await super().pwrite_zeroes(offset, length, flags)
        self._note_write(offset, bytes(length))

    async def pdiscard(self, offset: int, length: int) -> None:
        """Make a hole."""
        inside = max(min(length, self.size - offset), 0)
        self._note_write(offset, bytes(inside))
        await super().pdiscard(offset, length)
        self._note_write(offset, bytes(inside))

    async def flush(self) -> None:
        """Bring to the disk what has ended by now."""
        begun = self._recording.note(self._name, "flush")
        await super().flush()
        self._recording.note(self._name, "flushed", begun)

    async def truncate(self, size: int, preallocation: Preallocation = Preallocation.OFF) -> None:
        """Set the file's length."""
        await super().truncate(size, preallocation)
        self._recording.note(self._name, "truncate", size)
