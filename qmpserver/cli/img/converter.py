"""Copy what images show into another: data is moved, zeroes are left out or written as such."""

import contextlib
import errno
import os
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

from qmpserver import tasks
from qmpserver.block import copy_range
from qmpserver.block.copy import CHUNK, CopyEngine
from qmpserver.block.extents import extents
from qmpserver.block.node import Node
from qmpserver.cli.command_line import Failure
from qmpserver.cli.img.progress import Progress
from qmpserver.cli.img.rate import Rate
from qmpserver.clock import Clock
from qmpserver.driver_api import flags as request_flags
from qmpserver.errors import error_text
from qmpserver.units import SECTOR_SIZE, MiB, align_down, align_up
from qmpserver.zeroes import fill_zeroes, zero_runs

_HOST_CHUNK = 64 * MiB
"""Bytes that are looked at together where the host may copy them by itself."""

_TOGETHER = 16 * MiB
"""Bytes of several areas that are enough for the host to copy them together."""

_MOST_TOGETHER = 16
"""So many areas are enough as well."""


class Settings(NamedTuple):
    """How to convert.

    Attributes:
        is_compressed: Store whole clusters compressed.
        sparse_size: So many zero bytes in a row are not stored as data, or clusters of zeroes where they are
            compressed; 0 to store all, holes too.
        is_zero: The target reads as zeroes already.
        keeps_backing: What the source itself does not hold is left to the target's backing file.
        salvage: What cannot be read becomes zeroes.
        rate: The most bytes a second, or 0.
        write_flags: What each write asks for.
    """

    is_compressed: bool = False
    sparse_size: int = 4096
    is_zero: bool = True
    keeps_backing: bool = False
    salvage: bool = False
    rate: int = 0
    write_flags: int = 0


class Converter:
    """Copies sources, one behind the other, into one target.

    Args:
        sources: What to copy.
        target: Where to.
        settings: How.
        progress: Told how much is done.
        clock: What a rate is measured by.
    """

    def __init__(
        self, sources: list[Node], target: Node, settings: Settings, progress: Progress, clock: Clock
    ) -> None:
        self._sources: list[tuple[int, Node]] = []
        """Each with where it begins."""
        self._total = 0
        for source in sources:
            self._sources.append((self._total, source))
            self._total += source.size
        self._target = target
        self._settings = settings
        self._progress = progress
        self._rate = Rate(clock, settings.rate)
        self._done = 0
        self._failure: Failure | None = None
        self._gathered: list[tuple[int, int]] = []
        self._gathers = True
        mapping = target.mapping
        cluster = mapping.cluster_size if mapping is not None else 1
        self._unit = cluster if settings.is_compressed else 1
        subcluster = mapping.subcluster_size if mapping is not None else 1
        self._zero_unit = cluster if settings.is_compressed else max(subcluster, settings.sparse_size)
        # The host tells no zeroes apart that are fewer than a cluster.
        tells_zeroes = mapping is not None and 0 < settings.sparse_size <= subcluster
        self._can_be_copied_by_host = tells_zeroes and not (settings.is_compressed or settings.write_flags)

    async def run(self) -> None:
        """Copy everything.

        Raises:
            Failure: Something could not be read or written; the rest was not tried.
        """
        if not self._can_be_copied_by_host:
            # Much is waited for, and several chunks are on their way at a time.
            await tasks.need_loop()
        self._engine = CopyEngine(self._move, self._on_done)
        async for offset, length, is_zero in self._areas():
            if self._failure is not None:
                break
            if is_zero:
                self._on_done(offset, length, await self._write_zeroes(offset, length))
            else:
                await self._rate.admit(length)
                await self._submit(offset, length)
        await self._submit_gathered()
        await self._engine.settle()
        if self._failure is not None:
            raise self._failure
        try:
            await self._target.flush()
        except OSError as error:
            raise Failure(f"error while flushing: {error_text(error)}") from error

    async def _submit(self, offset: int, length: int) -> None:
        """Have an area moved, together with others while the host copies them all."""
        if not (self._gathers and self._may_host_copy(offset, length) and tasks.is_without_loop()):
            # In their order, which is that of the target's new clusters.
            await self._submit_gathered()
            await self._engine.submit(offset, length)
            return
        gathered = self._gathered
        gathered.append((offset, length))
        if len(gathered) == _MOST_TOGETHER or sum(length for _, length in gathered) >= _TOGETHER:
            await self._submit_gathered()

    async def _submit_gathered(self) -> None:
        areas, self._gathered = self._gathered, []
        if len(areas) > 1:
            self._gathers = await self._have_host_copy_together(areas)
            if self._gathers:
                self._on_done(areas[0][0], sum(length for _, length in areas), None)
                return
        for offset, length in areas:
            if self._failure is None:
                await self._engine.submit(offset, length)

    async def _areas(self) -> AsyncIterator[tuple[int, int, bool]]:
        """Split the sources into areas of data, at most a chunk long and whole units, and areas of zeroes."""
        most = self._rate.at_once(_HOST_CHUNK if self._can_be_copied_by_host else CHUNK)
        chunk = max(align_down(most, self._unit), self._unit)
        reached = copied = 0
        try:
            async for offset, length, is_data, is_zero in self._runs():
                end = offset + length
                if is_data:
                    # Of a unit that is data only in part the rest may have been zeroes just now: it is copied whole.
                    start = max(align_down(offset, self._unit), copied)
                    reached = copied = min(align_up(end, self._unit), self._total)
                    while start < copied:
                        stop = min(align_down(start, chunk) + chunk, copied)
                        yield start, stop - start, False
                        start = stop
                elif end > reached:
                    start, reached = max(offset, reached), end
                    if is_zero:
                        yield start, end - start, True
        except OSError as error:
            raise Failure(f"error while reading block status: {error_text(error)}") from error

    async def _runs(self) -> AsyncIterator[tuple[int, int, bool, bool]]:
        """Say of each run whether it is data and whether it is zero; what is neither is left to the backing file."""
        stores_all = not self._settings.sparse_size
        for base, source in self._sources:
            offset = 0
            shown = self._target_backing_size - base if self._settings.keeps_backing else 0
            while offset < min(shown, source.size):
                for status in await source.block_statuses(offset, min(shown, source.size) - offset):
                    is_data = status.is_data and not status.is_zero
                    is_zero = status.is_zero and status.is_allocated
                    yield base + offset, status.length, is_data or (is_zero and stores_all), is_zero
                    offset += status.length
            async for found in extents(source, offset, source.size):
                for status in found.statuses:
                    is_data = (status.is_data and not status.is_zero) or stores_all
                    yield base + offset, status.length, is_data, not is_data
                    offset += status.length

    @property
    def _target_backing_size(self) -> int:
        backing = self._target.backing
        return backing.size if backing is not None else 0

    def _on_done(self, offset: int, length: int, error: OSError | None) -> None:
        if isinstance(error, _MoveError):
            self._failure = self._failure or Failure(
                f"error while {error.verb} at byte {offset}: {error_text(error)}"
            )
        self._done = min(self._done + length, self._total)
        self._progress.show(self._done, self._total)

    async def _write_zeroes(self, offset: int, length: int) -> OSError | None:
        """Make an area zero, and return why it could not be."""
        if self._settings.is_zero and offset >= self._target_backing_size:
            return None
        try:
            await self._target.pwrite_zeroes(offset, length, request_flags.MAY_UNMAP)
        except OSError as error:
            return _MoveError(error, "writing")
        return None

    async def _move(self, offset: int, length: int) -> None:
        end, most = offset + length, length
        while offset < end:
            moved = 0
            if self._may_host_copy(offset, end - offset):
                moved = await self._have_host_copy(offset, min(most, end - offset))
            # Where it gets stuck it may soon be again, and what was copied up to there is lost.
            most = 2 * most if moved else CHUNK
            if not moved:
                if end - offset > CHUNK:
                    # So much is worth several chunks at a time.
                    await tasks.need_loop()
                moved = min(align_down(offset, CHUNK) + CHUNK, end) - offset
                await self._move_through_memory(offset, moved)
            offset += moved

    async def _have_host_copy(self, offset: int, length: int) -> int:
        """Let the host copy by itself; return how far it came, 0 if it has to be done through memory."""
        # What fails here is tried again through memory, where it shows whose fault it is.
        with contextlib.suppress(OSError):
            return await copy_range.copy_between(self._sources[0][1], self._target, offset, length)
        return 0

    async def _have_host_copy_together(self, areas: list[tuple[int, int]]) -> bool:
        """Let the host copy several areas; say whether it did."""
        await tasks.pause()
        # What fails here is tried again one by one.
        with contextlib.suppress(OSError):
            return await copy_range.copy_together(self._sources[0][1], self._target, areas)
        return False

    def _may_host_copy(self, offset: int, length: int) -> bool:
        """Say whether an area may be; only the first source's bytes are at the same places of the target."""
        return self._can_be_copied_by_host and offset + length <= self._sources[0][1].size

    async def _move_through_memory(self, offset: int, length: int) -> None:
        buffer = self._engine.buffer(length)
        try:
            await self._read(offset, buffer)
            with _blaming("writing"):
                await self._store(offset, buffer)
        finally:
            self._engine.give_back(buffer)

    async def _read(self, offset: int, buffer: memoryview) -> None:
        """Fill a buffer from the one source, or the several, that it spans."""
        end = offset + len(buffer)
        for base, source in self._sources:
            start, stop = max(offset, base), min(end, base + source.size)
            if start < stop:
                await self._read_from(source, start - base, buffer[start - offset : stop - offset])

    async def _read_from(self, source: Node, offset: int, buffer: memoryview) -> None:
        try:
            await source.pread(offset, buffer)
            return
        except OSError as error:
            if not self._settings.salvage:
                raise _MoveError(error, "reading") from error
        for start in range(0, len(buffer), SECTOR_SIZE):
            sector = buffer[start : start + SECTOR_SIZE]
            try:
                await source.pread(offset + start, sector)
            except OSError:
                fill_zeroes(sector)

    async def _store(self, offset: int, data: memoryview) -> None:
        settings, target = self._settings, self._target
        flags = settings.write_flags | (request_flags.WRITE_COMPRESSED if settings.is_compressed else 0)
        if not settings.sparse_size:
            await target.pwrite(offset, data, flags)
            return
        # Units are the target's own, wherever the data begins.
        first = min(-offset % self._zero_unit, len(data))
        for begin, part in ((0, data[:first]), (first, data[first:])):
            for start, length, all_zero in zero_runs(part, self._zero_unit):
                place, run = offset + begin + start, part[start : start + length]
                if not all_zero:
                    await target.pwrite(place, run, flags)
                elif not settings.is_zero or target.backing is not None:
                    await target.pwrite_zeroes(place, length, request_flags.MAY_UNMAP)


class _MoveError(OSError):
    """Bytes could not be moved, and it is known which way."""

    def __init__(self, error: OSError, verb: str) -> None:
        super().__init__(error.errno or errno.EIO, error.strerror or os.strerror(errno.EIO))
        self.verb = verb


@contextlib.contextmanager
def _blaming(verb: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _MoveError(error, verb) from error
