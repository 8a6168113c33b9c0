"""Serve an image's bytes from a regular file of the host."""

import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar, Self, TypeVar

from qmpserver import tasks, threads
from qmpserver.driver_api import flags as request_flags
from qmpserver.driver_api.driver import BlockDriver
from qmpserver.driver_api.extras import CopiedRange
from qmpserver.driver_api.limits import Limits
from qmpserver.driver_api.opening import OpenContext
from qmpserver.driver_api.permissions import PermissionSet
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.driver_api.status import BlockStatus
from qmpserver.driver_api.vectors import split
from qmpserver.drivers.file import copying, io
from qmpserver.drivers.file.access import Access, AccessPolicy
from qmpserver.drivers.file.handle import Handle, SupportsFdSets
from qmpserver.drivers.file.in_place import MOST_GROWN, MOST_READ, MOST_WRITTEN, MOST_ZEROED, InPlace
from qmpserver.drivers.file.kinds import REGULAR, FileKind
from qmpserver.drivers.file.options import FileOptions
from qmpserver.drivers.file.resizing import resize
from qmpserver.drivers.file.runs import MAX_RUNS, Run, RunCache, find_runs
from qmpserver.drivers.file.space import SpaceCalls, make_room
from qmpserver.drivers.file.writeback import Writeback, WritebackHint
from qmpserver.errors import QMPError, error_text
from qmpserver.file_range import FileRange

T = TypeVar("T")

_Run = Callable[..., Awaitable[Any]]
"""Makes a call in a thread."""


class FileDriver(BlockDriver):
    """A regular file."""

    format_name: ClassVar[str] = "file"
    is_protocol: ClassVar[bool] = True
    works_in_place: ClassVar[bool] = True
    strong_options: ClassVar[tuple[str, ...]] = ("filename",)
    changeable_options: ClassVar[frozenset[str]] = frozenset(("drop-cache", "x-check-cache-dropped"))
    lasting_options: ClassVar[frozenset[str]] = frozenset(("drop-cache",))
    kind: ClassVar[FileKind] = REGULAR

    def __init__(self, context: OpenContext, options: FileOptions, access: Access, size: int) -> None:
        self._no_flush = self._prepared_no_flush = context.no_flush
        self._options = options
        self._access = access
        self._size = size
        self._space = self._make_space_calls()
        self._runs = RunCache()
        self._hint = WritebackHint()
        self._writes = threads.lane()
        """The kernel lets only one write at a time into a file, unless the page cache is bypassed."""
        self._writeback = Writeback()
        self._is_better_in_pieces: bool | None = None
        self._in_place = self._find_in_place()
        self._changes = 0
        """Changes that are under way in threads, but for writes that are there only for a while."""
        self._has_set_aside = False
        self._lost_writes: int | None = None
        self._discards = {"discard-nb-ok": 0, "discard-nb-failed": 0, "discard-bytes-ok": 0}

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        """Open the file.

        Raises:
            QMPError: It cannot be opened, is no regular file, or an option cannot be had.
        """
        options = FileOptions.from_context(context, cls.format_name)
        policy = AccessPolicy(context.stays_read_only, context.auto_read_only, context.direct)
        fd_sets = context if isinstance(context, SupportsFdSets) else None
        access = await Access.open(options.filename, options.locking, fd_sets, policy, cls.kind)
        try:
            size = cls._measure(access.handle.fd)
        except OSError as error:
            access.close()
            raise QMPError(f"Could not refresh total sector count: {error_text(error)}") from error
        return cls(context, options, access, size)

    @staticmethod
    def _measure(fd: int) -> int:
        """Return the length of what is open."""
        return os.lseek(fd, 0, os.SEEK_END)

    @classmethod
    async def create_file(cls, options: dict[str, Any]) -> None:
        """Make a file; see :class:`SupportsCreateFile`."""
        from qmpserver.drivers.file.creation import FileCreation, create_file  # noqa: PLC0415 - few are made

        await threads.run(create_file, FileCreation.parse(options))

    async def close(self) -> None:
        """Close the file and let go of its locks."""
        await self._writeback.settle()
        self._access.close()

    @property
    def handle(self) -> Handle:
        """The open file, for another driver of this kind to copy from."""
        return self._access.handle

    @property
    def size(self) -> int:
        """The file's length in bytes."""
        return self._size

    @property
    def limits(self) -> Limits:
        """Any request will do, unless the page cache is bypassed."""
        return self._access.handle.limits

    @property
    def exact_filename(self) -> str | None:
        """The path."""
        return self._options.filename

    @property
    def can_grow(self) -> bool:
        """A file grows by writing past its end."""
        return True

    @property
    def reads_zero_when_new(self) -> bool:
        """What was never written reads as zeroes."""
        return True

    def image_info(self) -> dict[str, Any]:
        """Return what there is to say: the empty ``ImageInfoSpecificFile``."""
        return {"dirty-flag": False, "format-specific": {"type": "file", "data": {}}}

    def driver_stats(self) -> dict[str, Any] | None:
        """Return ``BlockStatsSpecificFile``: what became of discards."""
        return {"driver": self.format_name, **self._discards}

    # Requests

    async def pread(self, offset: int, into: memoryview, flags: int) -> None:
        """Fill `into`: in place where the page cache has it, in a thread where the disk is needed."""
        length = len(into)
        handle = self._access.handle
        if length <= MOST_READ:
            done = self._in_place.read(handle.fd, offset, into)
            if done == length:
                return
            offset += done
            into = into[done:]
        read = io.read_direct if handle.mode.direct else io.read_fully
        await self._run(read, offset, into)

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        """Store `data`, making the file longer where it must."""
        handle = self._access.handle
        length = len(data)
        done = self._write_in_place(handle.fd, offset, (data,), length)
        if done < length:
            if handle.mode.direct:
                await self._change(io.write_direct, offset, data)
            else:
                await self._write_in_turn(io.write_fully, offset + done, data[done:])
        if (due := self._note_written(offset, length)) is not None:
            self._writeback.begin(handle, *due)

    def pread_at_once(self, offset: int, into: memoryview) -> bool:
        """Fill `into` in place, if the page cache has all of it."""
        length = len(into)
        return length <= MOST_READ and self._in_place.read(self._access.handle.fd, offset, into) == length

    def set_aside(self, offset: int, length: int) -> None:
        """Ask the file system for room, where it does not make us wait."""
        if self._in_place.trusts(fd := self._access.handle.fd):
            self._has_set_aside = True
            make_room(fd, offset, length, keep_size=True)

    def find_in_memory(self, offset: int, length: int) -> list[FileRange]:
        """Return the range itself, if the page cache has all of it."""
        handle = self._access.handle
        if handle.mode.direct or offset + length > self._size:
            return []
        if not handle.is_in_memory(offset, length) and not self._comes_to_memory(handle, offset, length):
            return []
        return [FileRange(handle.begin(), offset, length, handle.end)]

    def _comes_to_memory(self, handle: Handle, offset: int, length: int) -> bool:
        """Ask for a range to be brought to memory, and say whether it is there: what was never written needs no disk."""
        from qmpserver.drivers.file.residency import is_asked_for  # noqa: PLC0415 - it needs ctypes, as few do

        is_asked = self._in_place.call(is_asked_for, handle.fd, offset, length)
        return is_asked is not None and handle.is_in_memory(offset, length)

    def pwrite_at_once(self, offset: int, data: memoryview) -> bool:
        """Store `data` in place, if the page cache takes all of it."""
        length = len(data)
        try:
            done = self._write_in_place(self._access.handle.fd, offset, (data,), length)
            if done < length:
                # A part of it may have made the file longer.
                self._size = max(self._size, offset + done) if done else self._size
                return False
        except OSError:
            # It will show again when it is written in earnest.
            return False
        if (due := self._note_written(offset, length)) is not None:
            self._writeback.begin(self._access.handle, *due)
        return True

    async def pwritev(self, offset: int, buffers: Sequence[memoryview], flags: int) -> None:
        """Store buffers by one call, making the file longer where it must."""
        handle = self._access.handle
        if handle.mode.direct:
            await super().pwritev(offset, buffers, flags)
            return
        length = sum(map(len, buffers))
        done = self._write_in_place(handle.fd, offset, buffers, length)
        if done < length:
            _, rest = split(buffers, done)
            await self._write_in_turn(io.write_vector, offset + done, rest)
        if (due := self._note_written(offset, length)) is not None:
            self._writeback.begin(handle, *due)

    def _note_written(self, offset: int, length: int) -> tuple[int, int] | None:
        """Take note of a write, and return what should now be brought to the disk."""
        self._size = max(self._size, offset + length)
        if self._no_flush or self._access.handle.mode.direct:
            return None
        return self._hint.note(offset, length)

    async def copy_ranges(self, source: BlockDriver, ranges: Sequence[CopiedRange], unit: int) -> bool:
        """Copy from another file within the host; see :class:`SupportsCopyRange`."""
        if not isinstance(source, FileDriver):
            return False
        handle, other = self.handle, source.handle
        if handle.mode.direct or other.mode.direct:
            return False
        self._runs.changed()
        self._changes += 1
        source_fd = other.begin()
        is_done = False
        try:
            if await self._copies_in_pieces():
                alone = tasks.is_without_loop()
                copy = copying.copy_side_by_side if alone else copying.copy_in_pieces
                is_done = await self._run(copy, source_fd, ranges, unit)
            else:
                copy, run = copying.copy_by_kernel, self._writes.run
                is_done = await self._run(copy, source_fd, ranges, unit, run=run)
        finally:
            other.end()
            self._changes -= 1
            self._runs.changed()
            end = max(offset + length for _, offset, length in ranges)
            self._size = max(self._size, end if is_done else self._measure(handle.fd))
        if is_done and not self._no_flush:
            for _, offset, length in ranges:
                if (due := self._hint.note(offset, length)) is not None:
                    self._writeback.begin(handle, *due)
        return is_done

    async def _copies_in_pieces(self) -> bool:
        if self._is_better_in_pieces is None:
            self._is_better_in_pieces = await self._run(copying.is_better_in_pieces)
        return self._is_better_in_pieces

    def _write_in_place(self, fd: int, offset: int, buffers: Sequence[memoryview], length: int) -> int:
        """Write what can be written without waiting; return how much that was."""
        if length > (MOST_WRITTEN if offset + length <= self._size else MOST_GROWN) or self._changes:
            # Where much is added the host makes room, and an image does; others can be made ready meanwhile.
            # Beside another change the kernel would let this one wait.
            return 0
        self._runs.changed()
        return self._in_place.write(fd, offset, buffers, length)

    def _make_space_calls(self) -> SpaceCalls:
        return SpaceCalls()

    def _trusts_writes(self) -> bool:
        """Say whether what goes to the page cache may be written in place."""
        return self._options.aio != "threads"

    def _find_in_place(self) -> InPlace:
        return InPlace(direct=self._access.policy.direct, trusts_writes=self._trusts_writes())

    async def _run(self, call: Callable[..., T], *args: Any, run: _Run = threads.run) -> T:
        """Make a call on the descriptor in a thread."""
        handle = self._access.handle
        fd = handle.begin()
        try:
            result: T = await run(call, fd, *args)
        finally:
            handle.end()
        return result

    async def _write_in_turn(self, call: Callable[..., None], *args: Any) -> None:
        """Write in a thread, after the writes that are there already."""
        # A busy client's writes in threads never have all ended.  They must not keep the next ones there for good.
        weight = 0 if self._in_place.is_held_back else 1
        await self._change(call, *args, run=self._writes.run, weight=weight)

    async def _change(
        self, call: Callable[..., None], *args: Any, run: _Run = threads.run, weight: int = 1
    ) -> None:
        """Make a call that changes the file in a thread."""
        self._runs.changed()
        self._changes += weight
        try:
            await self._run(call, *args, run=run)
        except BaseException:
            # It failed half-way, or nobody waits any more to hear that it did not.
            self._size = self._measure(self._access.handle.fd)
            raise
        finally:
            self._changes -= weight
            self._runs.changed()

    async def pwrite_zeroes(self, offset: int, length: int, flags: int) -> None:
        """Make the range zero by the file system's own means, and the file longer where it must be."""
        may_unmap = bool(flags & request_flags.MAY_UNMAP)
        await self._change_space(self._zero, offset, length, may_unmap, punches=may_unmap)
        self._size = max(self._size, offset + length)

    async def _change_space(
        self, call: Callable[..., None], offset: int, length: int, *args: Any, punches: bool
    ) -> None:
        """Make a call that empties a range, in place where that takes little."""
        if not self._is_soon_emptied(offset, length, punches=punches) or not self._change_in_place(
            call, offset, length, *args
        ):
            await self._change(call, offset, length, *args)

    def _is_soon_emptied(self, offset: int, length: int, *, punches: bool) -> bool:
        if self._changes:
            # Beside another change the kernel would let this one wait.
            return False
        if length <= MOST_ZEROED:
            return True
        end = offset + length
        runs = self._in_place.call(find_runs, self._access.handle.fd, offset, end, 1) if punches else None
        return runs is not None and not runs[0].is_data and runs[0].end >= end

    def _change_in_place(self, call: Callable[..., None], *args: Any) -> bool:
        """Make a call that changes the file, and say whether it was made; if not, it is to be made in a thread."""

        def change(fd: int) -> bool:
            call(fd, *args)
            return True

        self._runs.changed()
        fd = self._access.handle.fd
        try:
            return self._in_place.call(change, fd) or False
        except OSError:
            self._size = self._measure(fd)
            raise

    def _zero(self, fd: int, offset: int, length: int, may_unmap: bool) -> None:
        end = offset + length
        file_end = os.fstat(fd).st_size
        inside = min(end, file_end) - offset
        if inside > 0:
            self._space.zero(fd, offset, inside, may_unmap=may_unmap)
        if end > file_end:
            self._space.extend(fd, end)

    async def pdiscard(self, offset: int, length: int) -> None:
        """Make a hole."""
        try:
            await self._change_space(self._space.discard, offset, length, punches=True)
        except OSError:
            self._discards["discard-nb-failed"] += 1
            raise
        self._discards["discard-nb-ok"] += 1
        self._discards["discard-bytes-ok"] += length

    async def block_status(self, offset: int, length: int) -> BlockStatus:
        """Tell data from holes, which read as zeroes."""
        run = self._runs.find(offset) if self._nobody_else_writes() else None
        if run is None:
            # What others may change meanwhile is asked for again, so more than one run is of no use.
            most = MAX_RUNS if self._nobody_else_writes() else 1
            run = (await self._find_runs(offset, length, most))[0]
        return _status_of(run, offset, offset + length)

    async def block_statuses(self, offset: int, length: int) -> list[BlockStatus]:
        """Tell data from holes, run after run."""
        run = self._runs.find(offset) if self._nobody_else_writes() else None
        runs = [run] if run is not None else await self._find_runs(offset, length, MAX_RUNS)
        end = offset + length
        return [_status_of(run, max(run.start, offset), end) for run in runs if run.start < end]

    def known_run(self, offset: int) -> tuple[int, int, bool] | None:
        """Tell data from holes where nobody can have changed the file since it was last asked, or nobody waits."""
        run = self._runs.find(offset) if self._nobody_else_writes() else None
        if run is None and tasks.is_without_loop():
            run = find_runs(self._access.handle.fd, offset, offset + 1, 1)[0]
        return (run.start, run.end, not run.is_data) if run is not None else None

    async def _find_runs(self, offset: int, length: int, most: int) -> list[Run]:
        generation = self._runs.generation
        may_remember = self._nobody_else_writes()
        runs = None
        if not self._changes and not tasks.is_without_loop():
            runs = self._in_place.call(find_runs, self._access.handle.fd, offset, offset + length, most)
        if runs is None:
            runs = await self._run(find_runs, offset, offset + length, most)
        if may_remember:
            self._runs.store(runs, generation)
        return runs

    def _nobody_else_writes(self) -> bool:
        return not self._access.others_change

    async def flush(self) -> None:
        """Bring everything written to the disk.

        Raises:
            OSError: Something could not be written.  QEMU: the kernel may have dropped it, and would
                call the next flush a success; so every later flush fails as well.
        """
        if self._no_flush:
            return
        if self._lost_writes is not None:
            raise OSError(self._lost_writes, os.strerror(self._lost_writes))
        try:
            await self._run(os.fdatasync)
        except OSError as error:
            if not self._access.handle.mode.direct:
                self._lost_writes = error.errno
            raise

    async def truncate(self, size: int, preallocation: Preallocation = Preallocation.OFF) -> None:
        """Set the file's length; what is new reads as zeroes."""
        if self._has_set_aside:
            # A file that grows would keep what is behind its end.
            self._has_set_aside = False
            await self._change(resize, self._size, Preallocation.OFF)
        await self._change(resize, size, preallocation)
        self._size = size

    async def allocated_size(self) -> int | None:
        """Return the bytes of the host's disk that the file occupies."""
        status = await self._run(os.fstat)
        return status.st_blocks * 512

    # Permissions and reopening

    async def prepare_permissions(self, permissions: PermissionSet) -> None:
        """Lock what the permissions need, and open the file so that they can be used."""
        await self._access.prepare_permissions(permissions)

    def commit_permissions(self) -> None:
        """Unlock what is no longer needed."""
        self._access.commit_permissions()

    def abort_permissions(self) -> None:
        """Unlock what was locked in vain."""
        self._access.abort_permissions()

    async def reread(self) -> None:
        """Find out the file's length, and where its data is, again."""
        self._size = await self._run(self._measure)
        self._runs.changed()

    async def prepare_reopen(self, *, read_only: bool, options: dict[str, Any]) -> None:
        """Open the file in another mode, keeping the one in use.

        Args:
            read_only: The new state.
            options: The node's options as wanted, `cache` and `auto-read-only` among them; empty to
                leave them as they are.
        """
        policy = self._access.policy
        cache = options.get("cache", {})
        direct = cache.get("direct", policy.direct)
        is_automatic = options.get("auto-read-only", policy.is_automatic)
        self._options.check_direct(direct=direct)
        self._prepared_no_flush = cache.get("no-flush", self._no_flush)
        await self._access.prepare_reopen(AccessPolicy(read_only, is_automatic, direct))

    async def commit_reopen(self) -> None:
        """Use the file in its new mode."""
        await self._access.commit_reopen()
        self._no_flush = self._prepared_no_flush
        self._in_place = self._find_in_place()

    async def abort_reopen(self) -> None:
        """Close what was opened in vain."""
        self._access.abort_reopen()


def _status_of(run: Run, offset: int, end: int) -> BlockStatus:
    """Return what a run says of the bytes from `offset`, which it holds, to `end` at most."""
    length = min(run.end, end) - offset
    return BlockStatus(length, run.is_data, not run.is_data, is_allocated=True, host_offset=offset)
