"""Hold one opened image, protocol or filter, and take the requests made of it."""

import asyncio
import contextlib
import errno
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qmpserver.block import chain, filenames, reading, writing
from qmpserver.block.requests import TrackedRequests
from qmpserver.driver_api.driver import BlockDriver, MappingDriver
from qmpserver.driver_api.permissions import PERM_ALL, PERM_NONE, Permission
from qmpserver.driver_api.status import BlockStatus
from qmpserver.units import SECTOR_SIZE, align_up

if TYPE_CHECKING:
    from qmpserver.block.edge import Edge


@dataclass(slots=True)
class NodeFlags:
    """How a node was asked to be opened: the options that every driver has in common."""

    read_only: bool = False
    auto_read_only: bool = False
    direct: bool = False
    no_flush: bool = False
    discard: bool = False
    force_share: bool = False
    detect_zeroes: str = "off"


@dataclass(slots=True)
class NodeStats:
    """What is counted per node.

    Attributes:
        wr_highest_offset: One past the last byte ever written, in bytes.
    """

    wr_highest_offset: int = 0


@dataclass(slots=True, eq=False)
class Node:
    """An opened image, protocol or filter in the graph; QEMU's BlockDriverState.

    Requests are in bytes and need no alignment.  They raise OSError with an errno.

    Attributes:
        node_name: Its unique name.
        driver: The code of its format, protocol or filter, with the opened image.
        flags: How it was asked to be opened.
        options: The options it was opened with, its driver's own, under their wire names.
        children: Edges to the nodes it uses, by child name, in the order they were attached.
        parents: Edges from its users, in the order they were attached.
        is_monitor_owned: A client added it by name and has not deleted it.
        busy_reasons: Why operations on it are refused for now, newest last.
        is_implicit: It was put in by a job of its own accord, and takes the name of what it filters.
        backing_filename: The backing file's name as stored in the image, or None.
        auto_backing_filename: The name under which the image's own backing file would be opened, or
            None when it names none or opening it was forbidden.
    """

    node_name: str
    driver: BlockDriver
    flags: NodeFlags
    options: dict[str, Any]
    children: "dict[str, Edge]" = field(default_factory=dict)
    parents: "list[Edge]" = field(default_factory=list)
    is_monitor_owned: bool = False
    busy_reasons: list[str] = field(default_factory=list)
    is_implicit: bool = False
    backing_filename: str | None = None
    auto_backing_filename: str | None = None
    stats: NodeStats = field(default_factory=NodeStats)
    requests: TrackedRequests = field(default_factory=TrackedRequests)
    mapping: MappingDriver | None = None
    _in_flight: int = 0
    _idle: "asyncio.Future[None] | None" = None
    _quiesced: int = 0
    _resumed: "asyncio.Future[None] | None" = None
    _write_generation: int = 0
    _flushed_generation: int = 0

    def __post_init__(self) -> None:
        self.mapping = self.driver if isinstance(self.driver, MappingDriver) else None

    @property
    def name(self) -> str:
        """The node's name, as that of a user of other nodes."""
        return self.node_name

    def describe(self) -> str:
        """Name this node as a user of another, in a refusal."""
        return f"node '{self.node_name}'"

    @property
    def size(self) -> int:
        """The size presented, in bytes; QEMU rounds it up to whole sectors."""
        return align_up(self.driver.size, SECTOR_SIZE)

    @property
    def read_only(self) -> bool:
        """Whether the node refuses writes."""
        return self.flags.read_only

    @property
    def backing(self) -> "Node | None":
        """The node that supplies what this one lacks, or None."""
        edge = self.children.get("backing")
        return edge.node if edge is not None else None

    @property
    def filtered(self) -> "Node | None":
        """The node whose data this filter presents, or None when it is no filter."""
        if not self.driver.is_filter:
            return None
        return self.children["file"].node

    def set_backing_filename(self, filename: str | None) -> None:
        """Record which backing file the image names."""
        self.backing_filename = filename
        self.auto_backing_filename = None if filename is None else filenames.opened_as(self, filename)

    def cumulative_permissions(self) -> tuple[Permission, Permission]:
        """Return what all users together hold, and what all of them let others hold."""
        used, shared = PERM_NONE, PERM_ALL
        for edge in self.parents:
            used |= edge.used
            shared &= edge.shared
        return used, shared

    # Requests

    async def pread(self, offset: int, into: memoryview, flags: int = 0) -> None:
        """Fill `into` with the bytes at `offset`; what lies past the end reads as zeroes.

        Args:
            offset: First byte to read.
            into: Where to; its length says how much.
            flags: COPY_ON_READ, PREFETCH of :mod:`qmpserver.driver_api.flags`.
        """
        if self._quiesced:
            await self._until_resumed()
        self._in_flight += 1
        try:
            await reading.read(self, offset, into, flags)
        finally:
            self._leave()

    async def pwrite(self, offset: int, data: memoryview, flags: int = 0) -> None:
        """Store `data` at `offset`.

        Raises:
            OSError: EPERM when the node is read-only, EIO past the end of what cannot grow.
        """
        if self._quiesced:
            await self._until_resumed()
        self._check_writable(offset + len(data))
        self._in_flight += 1
        try:
            await writing.write(self, offset, data, flags)
        finally:
            self._leave()

    async def pwrite_zeroes(self, offset: int, length: int, flags: int = 0) -> None:
        """Make the range read as zeroes, by the cheapest means there is."""
        if self._quiesced:
            await self._until_resumed()
        self._check_writable(offset + length)
        self._in_flight += 1
        try:
            await writing.write_zeroes(self, offset, length, flags)
        finally:
            self._leave()

    async def pdiscard(self, offset: int, length: int) -> None:
        """Say that the range is of no interest; a hint that costs nothing when it is not taken."""
        if self._quiesced:
            await self._until_resumed()
        self._check_writable(offset + length)
        if not self.flags.discard:
            return
        self._in_flight += 1
        try:
            await writing.discard(self, offset, length)
        finally:
            self._leave()

    async def flush(self) -> None:
        """Bring everything written before the call to stable storage, unless nothing was."""
        if self._quiesced:
            await self._until_resumed()
        generation = self._write_generation
        if generation == self._flushed_generation:
            return
        self._in_flight += 1
        try:
            await self.driver.flush()
        finally:
            self._leave()
        self._flushed_generation = max(self._flushed_generation, generation)

    async def truncate(self, size: int) -> None:
        """Set the size in bytes; what is new reads as zeroes."""
        if self._quiesced:
            await self._until_resumed()
        self._check_writable(0)
        self._in_flight += 1
        try:
            await self.driver.truncate(size)
            self._write_generation += 1
        finally:
            self._leave()

    async def block_status(self, offset: int, length: int) -> BlockStatus:
        """Say what this node knows of the range, for as long a run as is known.

        At or past the end the run has length 0.
        """
        length = min(length, self.size - offset)
        if length <= 0:
            return BlockStatus(0, is_data=False, is_zero=True, is_allocated=False)
        return await reading.block_status(self, offset, length)

    async def is_allocated_down_to(self, bottom: str | None, offset: int, length: int) -> tuple[bool, int]:
        """Say whether the chain from here down to the node named `bottom` determines the range.

        With no `bottom`, the whole chain is asked.  The length returned is a run with one answer.
        """
        return await chain.is_allocated_down_to(self, bottom, offset, length)

    def note_written(self, end: int) -> None:
        """Record that bytes up to `end` have changed, so that a flush has something to do."""
        self._write_generation += 1
        self.stats.wr_highest_offset = max(end, self.stats.wr_highest_offset)

    def _check_writable(self, end: int) -> None:
        if self.flags.read_only:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        if end > self.size and not self.driver.can_grow:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    # Drained sections

    @contextlib.asynccontextmanager
    async def drained(self) -> AsyncIterator[None]:
        """Hold back new requests, wait for those in flight, and let all go on afterwards."""
        self._quiesced += 1
        try:
            while self._in_flight:
                if self._idle is None:
                    self._idle = asyncio.get_running_loop().create_future()
                await asyncio.shield(self._idle)
            yield
        finally:
            self._quiesced -= 1
            if not self._quiesced and self._resumed is not None:
                self._resumed.set_result(None)
                self._resumed = None

    def _leave(self) -> None:
        self._in_flight -= 1
        if self._idle is not None and not self._in_flight:
            self._idle.set_result(None)
            self._idle = None

    async def _until_resumed(self) -> None:
        while self._quiesced:
            if self._resumed is None:
                self._resumed = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._resumed)
