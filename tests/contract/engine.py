"""A tiny engine over any driver: it does what the real one promises, and nothing else."""

import asyncio
import errno
import os
from collections.abc import Mapping, Sequence
from typing import Any

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.debug_events import DebugHook
from qmpserver.driver_api.driver import BlockDriver, MappingDriver, not_supported
from qmpserver.driver_api.limits import Limits
from qmpserver.driver_api.mapping import MappingKind
from qmpserver.driver_api.opening import ChildSpec
from qmpserver.driver_api.point_in_time import PointInTime, PointInTimeOptions
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.driver_api.status import BlockStatus
from qmpserver.driver_api.surroundings import Surroundings
from qmpserver.errors import QMPError
from qmpserver.file_range import FileRange
from qmpserver.units import MiB, align_down, align_up

LARGEST = 256 * MiB
ALONE = Surroundings()


class MemoryFile:
    """A file child in memory that records what was written and flushed.

    Attributes:
        data: What has been written so far.
        log: ``("write", offset, data)``, ``("truncate", size)``, ``("flush",)``, and ``("flushed", begun)`` with the
            place in the log where that flush began.
        yields: Every request suspends once, so that requests interleave.
        fail_next: Errors that coming writes and flushes end with.
    """

    node_name = "file"
    filename = "file"
    read_only = False
    limits = Limits()
    debug_hook: DebugHook | None = None
    format_name = "file"
    supports_compressed_writes = False
    cluster_size = 1

    def __init__(self, data: bytes | bytearray = b"", *, yields: bool = False) -> None:
        self.data = bytearray(data)
        self.log: list[tuple[Any, ...]] = []
        self.yields = yields
        self.fail_next: list[OSError | None] = []
        self.reads = 0

    @property
    def size(self) -> int:
        return len(self.data)

    async def _pause(self) -> None:
        if self.yields:
            await asyncio.sleep(0)

    def _fail(self) -> None:
        if self.fail_next and (error := self.fail_next.pop(0)) is not None:
            raise error

    async def pread(self, offset: int, into: memoryview, flags: int = 0) -> None:
        await self._pause()
        self.reads += 1
        part = self.data[offset : offset + len(into)]
        into[:] = part.ljust(len(into), b"\0")

    async def pwrite(self, offset: int, data: memoryview, flags: int = 0) -> None:
        await self._pause()
        self._fail()
        self._grow(offset + len(data))
        self.data[offset : offset + len(data)] = data
        self.log.append(("write", offset, bytes(data)))

    def pread_at_once(self, offset: int, into: memoryview) -> bool:
        return False

    def find_in_memory(self, offset: int, length: int) -> list[FileRange]:
        return []

    def set_aside(self, offset: int, length: int) -> None:
        return None

    def pwrite_at_once(self, offset: int, data: memoryview) -> bool:
        return False

    async def pwritev(self, offset: int, buffers: Sequence[memoryview], flags: int = 0) -> None:
        await self.pwrite(offset, memoryview(b"".join(buffers)), flags)

    def _grow(self, end: int) -> None:
        if end > LARGEST:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        if end > len(self.data):
            self.data.extend(bytes(end - len(self.data)))

    async def pwrite_zeroes(self, offset: int, length: int, flags: int = 0) -> None:
        await self.pwrite(offset, memoryview(bytes(length)), flags)

    async def pdiscard(self, offset: int, length: int) -> None:
        """Make the range unlike what it was, so that a wrong discard is seen."""
        end = min(offset + length, len(self.data))
        if end > offset:
            await self.pwrite(offset, memoryview(b"\xdd" * (end - offset)))

    async def flush(self) -> None:
        begun = len(self.log)
        self.log.append(("flush",))
        await self._pause()
        self._fail()
        self.log.append(("flushed", begun))

    async def truncate(self, size: int, preallocation: Preallocation = Preallocation.OFF) -> None:
        await self._pause()
        if size > len(self.data):
            self._grow(size)
        else:
            del self.data[size:]
        self.log.append(("truncate", size))

    async def block_status(self, offset: int, length: int) -> BlockStatus:
        return BlockStatus(length, is_data=True, is_zero=False, is_allocated=True, host_offset=offset)

    async def block_statuses(self, offset: int, length: int) -> list[BlockStatus]:
        return [await self.block_status(offset, length)]

    async def is_allocated_above(self, bottom: str | None, offset: int, length: int) -> tuple[bool, int]:
        return True, length

    async def allocated_size(self) -> int | None:
        return len(self.data)

    def known_run(self, offset: int) -> tuple[int, int, bool] | None:
        return None

    async def pread_snapshot(self, offset: int, into: memoryview) -> None:
        raise not_supported()

    async def snapshot_block_status(self, offset: int, length: int) -> BlockStatus:
        raise not_supported()

    async def pdiscard_snapshot(self, offset: int, length: int) -> None:
        raise not_supported()


class Context:
    """What a driver is told when it opens, and what it tells.

    Attributes:
        named: The files that an image may name.
        corruption: The reports it made: message, offset, length, fatal.
    """

    node_name = "node0"
    auto_read_only = False
    no_flush = False
    direct = False
    no_io = False

    def __init__(
        self,
        children: Mapping[str, BlockChild],
        *,
        read_only: bool = False,
        discard: bool = False,
        options: Mapping[str, Any] | None = None,
        named: Mapping[str, BlockChild] | None = None,
        surroundings: Surroundings = ALONE,
    ) -> None:
        self.children = dict(children)
        self.named = named or {}
        self.read_only = self.stays_read_only = read_only
        self.discard = discard
        self.options = options or {}
        self.surroundings = surroundings
        self.corruption: list[tuple[str, int | None, int | None, bool]] = []

    def child(self, name: str) -> BlockChild | None:
        return self.children.get(name)

    def children_of(self, name: str) -> dict[str, BlockChild]:
        return {key: child for key, child in self.children.items() if key.startswith(f"{name}.")}

    async def open_child(self, spec: ChildSpec, filename: str) -> BlockChild:
        if filename not in self.named:
            raise QMPError(f"Could not open '{filename}': No such file or directory")
        self.children[spec.name] = self.named[filename]
        return self.children[spec.name]

    def is_in_chain(self, child: str, node_name: str) -> bool | None:
        return None

    def fall_back_to_read_only(self) -> None:
        self.read_only = True

    def keep_point_in_time(self, options: PointInTimeOptions) -> PointInTime:
        raise AssertionError("no driver that is tested alone keeps a point in time")

    def secret(self, secret_id: str) -> bytes:
        return self.surroundings.secret(secret_id)

    def report_corruption(self, message: str, offset: int | None, length: int | None, *, fatal: bool) -> None:
        self.corruption.append((message, offset, length, fatal))


class Engine:
    """Moves the bytes for one driver; conflicting requests wait for one another.

    Args:
        driver: The driver.
        backing: The child below it that supplies what it lacks, if any.
    """

    def __init__(self, driver: BlockDriver, backing: BlockChild | None = None) -> None:
        self.driver = driver
        self.backing = backing
        self._busy: set[int] = set()
        self._changed = asyncio.Condition()

    @property
    def unit(self) -> int:
        return self.driver.cluster_size if isinstance(self.driver, MappingDriver) else 512

    @property
    def part(self) -> int:
        """The least that can be zero by itself, in bytes."""
        return self.driver.subcluster_size if isinstance(self.driver, MappingDriver) else 512

    async def _enter(self, offset: int, length: int) -> range:
        units = range(offset // self.unit, (offset + length - 1) // self.unit + 1)
        async with self._changed:
            await self._changed.wait_for(lambda: self._busy.isdisjoint(units))
            self._busy.update(units)
        return units

    async def _leave(self, units: range) -> None:
        async with self._changed:
            self._busy.difference_update(units)
            self._changed.notify_all()

    async def read(self, offset: int, length: int) -> bytes:
        into = bytearray(length)
        units = await self._enter(offset, length)
        try:
            await self._read(offset, memoryview(into))
        finally:
            await self._leave(units)
        return bytes(into)

    async def _read(self, offset: int, into: memoryview) -> None:
        if not isinstance(self.driver, MappingDriver):
            await self.driver.pread(offset, into, 0)
            return
        while into:
            mapping = await self.driver.map(offset, len(into))
            assert 0 < mapping.length <= len(into)
            part = into[: mapping.length]
            if mapping.kind is MappingKind.DATA:
                assert mapping.child is not None
                await mapping.child.pread(mapping.offset, part)
            elif mapping.kind is MappingKind.SPECIAL:
                await self.driver.pread_special(offset, part)
            elif mapping.kind is MappingKind.BACKING and self.backing is not None:
                await self.backing.pread(offset, part)
            offset += mapping.length
            into = into[mapping.length :]

    async def write(self, offset: int, data: bytes) -> None:
        units = await self._enter(offset, len(data))
        try:
            await self._write(offset, memoryview(data))
        finally:
            await self._leave(units)

    async def _write(self, offset: int, data: memoryview) -> None:
        if not isinstance(self.driver, MappingDriver):
            await self.driver.pwrite(offset, data, 0)
            return
        while data:
            mapping = await self.driver.map(offset, len(data))
            if mapping.in_place:
                assert mapping.child is not None
                await mapping.child.pwrite(mapping.offset, data[: mapping.length])
                done = mapping.length
            else:
                done = await self._write_new(self.driver, offset, data[: mapping.length])
            offset += done
            data = data[done:]

    async def _write_new(self, driver: MappingDriver, offset: int, data: memoryview) -> int:
        room = await driver.allocate(offset, len(data))
        try:
            done = min(room.offset + room.length - offset, len(data))
            whole = bytearray(room.length)
            await self._read_old(room.offset, memoryview(whole)[: offset - room.offset])
            after = offset + done
            await self._read_old(after, memoryview(whole)[after - room.offset :])
            whole[offset - room.offset : after - room.offset] = data[:done]
            await room.child.pwrite(room.host_offset, memoryview(whole))
        except BaseException:
            await driver.release(room)
            raise
        await driver.link(room)
        return done

    async def write_compressed(self, offset: int, data: bytes) -> list[bool]:
        """Write whole clusters compressed, eight at once; say which of them shrank."""
        assert isinstance(self.driver, MappingDriver)
        driver, turns = self.driver, asyncio.Semaphore(8)

        async def store(start: int) -> bool:
            part = data[start : start + self.unit]
            async with turns:
                units = await self._enter(offset + start, len(part))
                try:
                    if await driver.write_compressed(offset + start, memoryview(part)):
                        return True
                    await self._write(offset + start, memoryview(part))
                    return False
                finally:
                    await self._leave(units)

        return await asyncio.gather(*(store(start) for start in range(0, len(data), self.unit)))

    async def _read_old(self, offset: int, into: memoryview) -> None:
        valid = max(min(len(into), self.driver.size - offset), 0)
        if valid:
            await self._read(offset, into[:valid])

    async def zero(self, offset: int, length: int, *, may_unmap: bool = False) -> None:
        """Make whole clusters zero; the engine writes zeroes where the driver has no marker."""
        assert isinstance(self.driver, MappingDriver)
        units = await self._enter(offset, length)
        try:
            try:
                await self.driver.zero_clusters(offset, length, may_unmap=may_unmap)
            except OSError as error:
                if error.errno != errno.ENOTSUP:
                    raise
                await self._write(offset, memoryview(bytes(length)))
        finally:
            await self._leave(units)

    async def discard(self, offset: int, length: int) -> bool:
        """Drop whole clusters; say whether the driver did so."""
        assert isinstance(self.driver, MappingDriver)
        units = await self._enter(offset, length)
        try:
            await self.driver.discard_clusters(offset, length)
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                raise
            return False
        finally:
            await self._leave(units)
        return True

    def whole_clusters(self, offset: int, length: int) -> tuple[int, int]:
        """Return the part of a range that is whole clusters, up to the end of the image."""
        return self._whole(offset, length, self.unit)

    def whole_parts(self, offset: int, length: int) -> tuple[int, int]:
        """Return the part of a range that is whole subclusters, up to the end of the image."""
        return self._whole(offset, length, self.part)

    def _whole(self, offset: int, length: int, unit: int) -> tuple[int, int]:
        start, end = align_up(offset, unit), offset + length
        if end < self.driver.size:
            end = align_down(end, unit)
        return start, max(end - start, 0)
