"""Drivers that live in memory: a file, and a format with a backing file, for testing the engine alone."""

import asyncio
import errno
import os
from collections.abc import Sequence
from typing import Any, ClassVar, Self

from qmpserver.driver_api.driver import BlockDriver, MappingDriver
from qmpserver.driver_api.extras import CopiedRange
from qmpserver.driver_api.flags import COPY_ON_READ
from qmpserver.driver_api.limits import Limits
from qmpserver.driver_api.mapping import Allocation, Mapping, MappingKind
from qmpserver.driver_api.opening import ChildSpec, OpenContext
from qmpserver.driver_api.permissions import IMAGE, ChildRole

FILES: dict[str, bytearray] = {}
"""The content of each file, by name; a test clears it."""


class MemoryFile(BlockDriver):
    """A protocol whose files are the entries of :data:`FILES`."""

    format_name = "file"
    is_protocol = True
    strong_options = ("filename",)

    def __init__(self, name: str, alignment: int) -> None:
        self._name = name
        self._alignment = alignment
        self.closed = False
        self.flushes = 0
        self.fail_reads_at: set[int] = set()
        self.fail_writes: int | None = None
        self.gate: asyncio.Event | None = None
        self.copies: list[tuple[int, int, int]] | None = None

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        name = context.options["filename"]
        if name not in FILES:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        return cls(name, context.options.get("x-alignment", 1))

    async def close(self) -> None:
        self.closed = True

    @property
    def data(self) -> bytearray:
        return FILES[self._name]

    @property
    def size(self) -> int:
        return len(self.data)

    @property
    def limits(self) -> Limits:
        return Limits(request_alignment=self._alignment)

    @property
    def exact_filename(self) -> str | None:
        return self._name

    @property
    def can_grow(self) -> bool:
        return True

    async def pread(self, offset: int, into: memoryview, flags: int) -> None:
        assert offset % self._alignment == 0
        assert len(into) % self._alignment == 0
        if self.gate is not None:
            await self.gate.wait()
        if any(offset <= bad < offset + len(into) for bad in self.fail_reads_at):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        part = self.data[offset : offset + len(into)]
        into[:] = bytes(part) + bytes(len(into) - len(part))

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        assert offset % self._alignment == 0
        assert len(data) % self._alignment == 0
        if self.gate is not None:
            await self.gate.wait()
        if self.fail_writes is not None:
            raise OSError(self.fail_writes, os.strerror(self.fail_writes))
        if len(self.data) < offset + len(data):
            self.data.extend(bytes(offset + len(data) - len(self.data)))
        self.data[offset : offset + len(data)] = data

    async def copy_ranges(self, source: BlockDriver, ranges: Sequence[CopiedRange], unit: int) -> bool:
        """Copy between files in memory, once :attr:`copies` is a list to note it in."""
        if self.copies is None:
            return False
        self.copies.extend(ranges)
        assert isinstance(source, MemoryFile)
        for start, offset, length in ranges:
            await self.pwrite(offset, memoryview(source.data[start : start + length]), 0)
        return True

    async def flush(self) -> None:
        self.flushes += 1


class MemoryFormat(MappingDriver):
    """A format of 4 KiB clusters with its table in memory; only guest data goes to the file."""

    format_name = "raw"
    supports_backing = True
    child_specs = (ChildSpec("file", IMAGE),)
    strong_options: ClassVar[tuple[str, ...]] = ("size",)
    images: ClassVar[dict[str, dict[int, int | None]]] = {}

    def __init__(self, file: Any, size: int, table: dict[int, int | None], backing: str | None) -> None:
        self._file = file
        self._size = size
        self.table = table
        self.backing = backing
        self.closed = False
        self.released = 0
        self._reserved_to = 4096

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        file = context.child("file")
        assert file is not None
        table = cls.images.setdefault(file.node_name, {})
        return cls(file, context.options.get("size", 64 * 1024), table, context.options.get("x-backing"))

    async def close(self) -> None:
        self.closed = True

    @property
    def size(self) -> int:
        return self._size

    @property
    def cluster_size(self) -> int:
        return 4096

    @property
    def backing_filename(self) -> str | None:
        return self.backing

    @property
    def backing_format(self) -> str | None:
        return "raw" if self.backing else None

    async def change_backing_file(self, filename: str | None, backing_format: str | None) -> None:
        self.backing = filename

    async def map(self, offset: int, length: int) -> Mapping:
        index, inside = divmod(offset, 4096)
        run = min(length, 4096 - inside)
        if index not in self.table:
            return Mapping(MappingKind.BACKING, run)
        host = self.table[index]
        if host is None:
            return Mapping(MappingKind.ZERO, run)
        return Mapping(MappingKind.DATA, run, self._file, host + inside, in_place=True)

    async def allocate(self, offset: int, length: int) -> Allocation:
        host = max(self._file.size, self._reserved_to)
        self._reserved_to = host + 4096
        return Allocation(offset - offset % 4096, 4096, self._file, host)

    async def link(self, allocation: Allocation) -> None:
        self.table[allocation.offset // 4096] = allocation.host_offset

    async def release(self, allocation: Allocation) -> None:
        self.released += 1

    async def zero_clusters(self, offset: int, length: int, *, may_unmap: bool) -> None:
        for index in range(offset // 4096, -(-(offset + length) // 4096)):
            self.table[index] = None

    async def discard_clusters(self, offset: int, length: int) -> None:
        for index in range(offset // 4096, -(-(offset + length) // 4096)):
            self.table.pop(index, None)

    async def flush(self) -> None:
        await self._file.flush()


class MemoryFilter(BlockDriver):
    """A filter that hands everything on."""

    format_name = "copy-on-read"
    is_filter = True
    child_specs = (ChildSpec("file", ChildRole.FILTERED | ChildRole.PRIMARY),)

    def __init__(self, file: Any) -> None:
        self._file = file

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        return cls(context.child("file"))

    @property
    def size(self) -> int:
        return int(self._file.size)

    async def pread(self, offset: int, into: memoryview, flags: int) -> None:
        await self._file.pread(offset, into, flags | COPY_ON_READ)

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        await self._file.pwrite(offset, data, flags)
