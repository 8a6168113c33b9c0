"""Hold one opened image, protocol or filter, its links to users and children, and take its requests.

An edge leads to a node, and a node is held by its edges: neither type can be told without the other, so they share
a file.  What a request does is in the modules that see a node as a :class:`~qmpserver.block.view.NodeView`.
"""

import contextlib
import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from qmpserver.block import at_once, chain, copy_on_read, draining, filenames, reading, resizing, writing
from qmpserver.block.gate import Gate, Passage
from qmpserver.block.gathering import Gathering
from qmpserver.block.head_guard import GUARDED, HeadGuard
from qmpserver.block.requests import TrackedRequests
from qmpserver.block.view import NodeFlags
from qmpserver.driver_api.debug_events import DebugHook
from qmpserver.driver_api.device_requests import SupportsIoctl
from qmpserver.driver_api.driver import BlockDriver, MappingDriver, not_supported
from qmpserver.driver_api.extras import SupportsDrain
from qmpserver.driver_api.flags import COPY_ON_READ
from qmpserver.driver_api.limits import Limits
from qmpserver.driver_api.permissions import PERM_ALL, PERM_NONE, ChildRole, Permission, PermissionSet
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.driver_api.status import BlockStatus
from qmpserver.file_range import FileRange
from qmpserver.units import SECTOR_SIZE, align_up

if TYPE_CHECKING:  # few nodes have one
    from qmpserver.block.dirty_bitmap import DirtyBitmap
    from qmpserver.block.write_threshold import WriteThreshold
    from qmpserver.driver_api.point_in_time import PointInTime


class Parent(Protocol):
    """Whoever uses a node through an edge."""

    @property
    def name(self) -> str:
        """The user's own name: a node's, a job's, a device's."""

    def describe(self) -> str:
        """Name the user in a refusal: ``node 'x'``, ``stream job 'j'``."""


class Edge:
    """One user's link to one node; for a driver, its child (:class:`BlockChild`).

    Attributes:
        name: What the user calls the child: `file`, `backing`, `root`, ...
        parent: The user.
        role: What the user uses it for; none for a user that is not a node.
        permissions: What the user holds, and lets others hold.
        node: Where the edge leads.  Only :mod:`qmpserver.block.graph` changes it.
        is_frozen: The edge may not be taken away or led elsewhere, because a job relies on it.
        device_name: The name of the device that the user is; empty for another user, or a device without one.
    """

    __slots__ = ("device_name", "is_frozen", "name", "node", "parent", "permissions", "role")

    def __init__(
        self, name: str, parent: Parent, role: ChildRole, permissions: PermissionSet, node: "Node"
    ) -> None:
        self.name = name
        self.parent = parent
        self.role = role
        self.permissions = permissions
        self.node = node
        self.is_frozen = False
        self.device_name = ""

    @property
    def used(self) -> Permission:
        """The permissions the user holds."""
        return self.permissions.used

    @property
    def shared(self) -> Permission:
        """The permissions the user lets others hold."""
        return self.permissions.shared

    @property
    def node_name(self) -> str:
        """The name of the node the edge leads to."""
        return self.node.node_name

    @property
    def filename(self) -> str:
        """The name that opens the node again."""
        return filenames.filename_of(self.node)

    @property
    def size(self) -> int:
        """The size in bytes of the node the edge leads to."""
        return self.node.size

    @property
    def read_only(self) -> bool:
        """Whether the node the edge leads to refuses writes."""
        return self.node.read_only

    @property
    def limits(self) -> Limits:
        """What the node the edge leads to asks of its requests."""
        return self.node.driver.limits

    @property
    def format_name(self) -> str:
        """The name of the driver of the node the edge leads to."""
        return self.node.driver.format_name

    @property
    def supports_compressed_writes(self) -> bool:
        """Whether the node the edge leads to takes compressed writes."""
        return self.node.driver.supports_compressed_writes

    @property
    def cluster_size(self) -> int:
        """The allocation unit of the image below, in bytes."""
        mapping = chain.skip_filters(self.node).mapping
        return mapping.cluster_size if mapping is not None else 1

    @property
    def debug_hook(self) -> DebugHook | None:
        """Who listens to debug events on the node the edge leads to."""
        return self.node.driver.debug_hook

    # The requests hand on the node's own coroutine, so that an edge costs no coroutine of its own.
    # Only where the node is held still: what waits is for the node that the edge leads to afterwards.

    async def _when_resumed(self, request: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
        node = self.node
        await node.until_resumed()
        while node is not self.node:
            node = self.node
            await node.until_resumed()
        await request(node, *arguments)

    def pread(self, offset: int, into: memoryview, flags: int = 0) -> Coroutine[Any, Any, None]:
        """Fill `into` with the bytes at `offset`."""
        if self.node.is_held_still:
            return self._when_resumed(Node.pread, offset, into, flags)
        return self.node.pread(offset, into, flags)

    def pwrite(self, offset: int, data: memoryview, flags: int = 0) -> Coroutine[Any, Any, None]:
        """Store `data` at `offset`."""
        if self.node.is_held_still:
            return self._when_resumed(Node.pwrite, offset, data, flags)
        return self.node.pwrite(offset, data, flags)

    def pread_at_once(self, offset: int, into: memoryview) -> bool:
        """Fill `into` if that takes no waiting, and say whether it is filled."""
        return at_once.read(self.node, offset, into)

    def find_in_memory(self, offset: int, length: int) -> list[FileRange]:
        """Return where the parts of the range lie in a file of the host."""
        return at_once.find(self.node, offset, length)

    def pwrite_at_once(self, offset: int, data: memoryview) -> bool:
        """Store `data` if that takes no waiting, and say whether it is stored."""
        return at_once.write(self.node, offset, data)

    def set_aside(self, offset: int, length: int) -> None:
        """Set room aside for a range that will be written, if that takes no waiting."""
        self.node.driver.set_aside(offset, length)

    def pwritev(
        self, offset: int, buffers: Sequence[memoryview], flags: int = 0
    ) -> Coroutine[Any, Any, None]:
        """Store buffers, one behind the other, from `offset` on."""
        if self.node.is_held_still:
            return self._when_resumed(Node.pwritev, offset, buffers, flags)
        return self.node.pwritev(offset, buffers, flags)

    def pwrite_zeroes(self, offset: int, length: int, flags: int = 0) -> Coroutine[Any, Any, None]:
        """Make the range read as zeroes."""
        if self.node.is_held_still:
            return self._when_resumed(Node.pwrite_zeroes, offset, length, flags)
        return self.node.pwrite_zeroes(offset, length, flags)

    def pdiscard(self, offset: int, length: int) -> Coroutine[Any, Any, None]:
        """Say that the range's content is no longer of interest."""
        if self.node.is_held_still:
            return self._when_resumed(Node.pdiscard, offset, length)
        return self.node.pdiscard(offset, length)

    def flush(self) -> Coroutine[Any, Any, None]:
        """Bring everything written so far to stable storage."""
        return self.node.flush()

    def truncate(
        self, size: int, preallocation: Preallocation = Preallocation.OFF
    ) -> Coroutine[Any, Any, None]:
        """Set the node's size in bytes."""
        return self.node.truncate(size, preallocation)

    def block_status(self, offset: int, length: int) -> Coroutine[Any, Any, BlockStatus]:
        """Say what is known of the range."""
        return self.node.block_status(offset, length)

    def block_statuses(self, offset: int, length: int) -> Coroutine[Any, Any, list[BlockStatus]]:
        """Say what is known of the range, run after run."""
        return self.node.block_statuses(offset, length)

    def known_run(self, offset: int) -> tuple[int, int, bool] | None:
        """Return the run around an offset, if it is known without asking anyone."""
        return self.node.driver.known_run(offset)

    def is_allocated_above(
        self, bottom: str | None, offset: int, length: int
    ) -> Coroutine[Any, Any, tuple[bool, int]]:
        """Say whether this node's chain, down to the node named `bottom`, determines the range."""
        return self.node.is_allocated_down_to(bottom, offset, length)

    def ioctl(self, request: int, argument: bytearray | int) -> Coroutine[Any, Any, int]:
        """Have the device of the host below carry out a request of its own."""
        return self.node.ioctl(request, argument)

    def allocated_size(self) -> Coroutine[Any, Any, int | None]:
        """Return the bytes the node occupies on the host."""
        return self.node.driver.allocated_size()

    def pread_snapshot(self, offset: int, into: memoryview) -> Coroutine[Any, Any, None]:
        """Fill `into` with what was at `offset`."""
        return self.node.pread_snapshot(offset, into)

    def snapshot_block_status(self, offset: int, length: int) -> Coroutine[Any, Any, BlockStatus]:
        """Say what is known of what was in the range."""
        return self.node.snapshot_block_status(offset, length)

    def pdiscard_snapshot(self, offset: int, length: int) -> Coroutine[Any, Any, None]:
        """Say that what was in the range is of no interest."""
        return self.node.pdiscard_snapshot(offset, length)


class NodeStats:
    """What is counted per node.

    Attributes:
        wr_highest_offset: One past the last byte ever written, in bytes.
    """

    __slots__ = ("wr_highest_offset",)

    def __init__(self) -> None:
        self.wr_highest_offset = 0


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
        explicit: All options it was given itself, `driver` included and children left out, dotted names and
            all (:mod:`qmpserver.block.reopen_options`).
        inherits_from: The node it was opened for, whose options it inherits when that is reopened, or None.
        write_threshold: What a client wants to be told of, or None.
        head_guard: What every write to the beginning has to pass, or None when its format is no guess.
        dirty_bitmaps: What records writes to the node, oldest first.
        open_driver: Opens its image once more, with its options and children as they are.
        gate: What every request passes, and what holds them back while the node is drained.
    """

    def __init__(
        self, node_name: str, driver: BlockDriver, flags: NodeFlags, options: dict[str, Any]
    ) -> None:
        self.node_name = node_name
        self.driver = driver
        self.mapping = driver if isinstance(driver, MappingDriver) else None
        self.flags = flags
        self.options = options
        self.children: dict[str, Edge] = {}
        self.parents: list[Edge] = []
        self.is_monitor_owned = False
        self.busy_reasons: list[str] = []
        self.is_implicit = False
        self.backing_filename: str | None = None
        self.auto_backing_filename: str | None = None
        self.explicit: dict[str, Any] = {}
        self.inherits_from: Node | None = None
        self.write_threshold: WriteThreshold | None = None
        self.head_guard: HeadGuard | None = None
        self.open_driver: Callable[[Node], Awaitable[BlockDriver]] | None = None
        self.dirty_bitmaps: list[DirtyBitmap] = []
        self.stats = NodeStats()
        self.requests = TrackedRequests()
        self.gathering = Gathering()
        self.gate = Gate()
        self._write_generation = 0
        self._flushed_generation = 0

    async def open_driver_anew(self) -> None:
        """Let another driver of the same kind, which opens the image once more, take over.

        Nothing is in flight, and the old driver is closed, or is closed afterwards, by the caller.

        Raises:
            QMPError: It cannot be opened; the old driver stays.
        """
        assert self.open_driver is not None
        self.driver = await self.open_driver(self)
        self.mapping = self.driver if isinstance(self.driver, MappingDriver) else None

    @property
    def device_or_node_name(self) -> str:
        """The name of a device that uses it, or else its own: what QEMU calls it where it is busy."""
        return next((edge.device_name for edge in self.parents if edge.device_name), self.node_name)

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
        # Without a call, since it is asked for with every request.
        size = self.driver.size
        return size + -size % SECTOR_SIZE

    @property
    def read_only(self) -> bool:
        """Whether the node refuses writes."""
        return self.flags.read_only

    @property
    def is_active(self) -> bool:
        """Whether the node may be used; an inactive one leaves its image to another process."""
        return self.flags.active

    @property
    def backing(self) -> "Node | None":
        """The node that supplies what this one lacks, or None."""
        edge = self.children.get("backing")
        return edge.node if edge is not None and not self.driver.is_filter else None

    @property
    def filtered(self) -> "Node | None":
        """The node whose data this filter presents, or None when it is no filter."""
        if not self.driver.is_filter:
            return None
        return self.children[self.driver.filtered_child].node

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
        if self.gate.closed:
            await self.until_resumed()
        self.gate.in_flight += 1
        try:
            if flags & COPY_ON_READ and self.mapping is not None:
                await copy_on_read.read(self, self.mapping, offset, into, flags)
            else:
                await reading.read(self, offset, into, flags)
        finally:
            self.gate.leave()

    # Those that change something hand on one coroutine, so that sharing their frame costs no further one.

    def pwrite(self, offset: int, data: memoryview, flags: int = 0) -> Coroutine[Any, Any, None]:
        """Store `data` at `offset`.

        Raises:
            OSError: EPERM when the node is read-only, EIO past the end of what cannot grow.
        """
        write = writing.write
        if self.head_guard is not None and offset < GUARDED:
            write = self.head_guard.write
        return self._change(offset, len(data), partial(write, self, offset, data, flags))

    def pwritev(
        self, offset: int, buffers: Sequence[memoryview], flags: int = 0
    ) -> Coroutine[Any, Any, None]:
        """Store buffers, one behind the other, from `offset` on; see :meth:`pwrite`."""
        if not writing.takes_vectors(self):
            return self.pwrite(offset, memoryview(b"".join(buffers)), flags)
        length = sum(map(len, buffers))
        return self._change(offset, length, partial(writing.write_vector, self, offset, buffers, flags))

    def pwrite_zeroes(self, offset: int, length: int, flags: int = 0) -> Coroutine[Any, Any, None]:
        """Make the range read as zeroes, by the cheapest means there is."""
        write_zeroes = writing.write_zeroes
        if self.head_guard is not None and offset < GUARDED:
            write_zeroes = self.head_guard.write_zeroes
        return self._change(offset, length, partial(write_zeroes, self, offset, length, flags))

    async def _change(self, offset: int, length: int, carry_out: Callable[[], Awaitable[None]]) -> None:
        """Carry out a request that changes a range, once the node may be written."""
        if self.gate.closed:
            await self.until_resumed()
        self._check_writable(offset + length)
        if self.write_threshold is not None:
            self._check_threshold(self.write_threshold, offset + length)
        self.gate.in_flight += 1
        try:
            await carry_out()
        except BaseException:
            self._note_half_written(offset, length)
            raise
        finally:
            self.gate.leave()

    async def pdiscard(self, offset: int, length: int) -> None:
        """Say that the range is of no interest; a hint that costs nothing when it is not taken."""
        if self.gate.closed:
            await self.until_resumed()
        self._check_writable(offset + length)
        if not self.flags.discard:
            return
        if self.write_threshold is not None:
            self._check_threshold(self.write_threshold, offset + length)
        self.gate.in_flight += 1
        try:
            if self.head_guard is not None and offset < GUARDED:
                await self.head_guard.discard(self, offset, length)
            else:
                await writing.discard(self, offset, length)
        except BaseException:
            self._write_generation += 1
            raise
        finally:
            # QEMU: all that was asked for is marked, whatever part of it the driver could drop.
            self._mark_dirty(offset, length)
            self.gate.leave()

    async def flush(self) -> None:
        """Bring everything written before the call to stable storage, unless nothing was."""
        if self.gate.closed:
            await self.until_resumed()
        generation = self._write_generation
        if generation == self._flushed_generation:
            return
        self.gate.in_flight += 1
        try:
            await self.driver.flush()
        finally:
            self.gate.leave()
        self._flushed_generation = max(self._flushed_generation, generation)

    async def ioctl(self, request: int, argument: bytearray | int) -> int:
        """Have the device of the host below carry out a request of its own; see :class:`SupportsIoctl`."""
        if self.gate.closed:
            await self.until_resumed()
        if not isinstance(self.driver, SupportsIoctl):
            raise not_supported()
        self.gate.in_flight += 1
        try:
            return await self.driver.ioctl(request, argument)
        finally:
            self.gate.leave()

    async def truncate(self, size: int, preallocation: Preallocation = Preallocation.OFF) -> None:
        """Set the size in bytes; what is new reads as zeroes.

        Raises:
            OSError: It cannot be set; where QEMU words the reason, `strerror` is its text.
            QMPError: The format cannot have this size; the old size stands.
        """
        if self.gate.closed:
            await self.until_resumed()
        resizing.check(self, size)
        self.gate.in_flight += 1
        try:
            await resizing.resize(self.driver, size, preallocation)
            self._write_generation += 1
            for bitmap in self.dirty_bitmaps:
                bitmap.resize(self.size)
        finally:
            self.gate.leave()

    async def block_status(self, offset: int, length: int) -> BlockStatus:
        """Say what this node knows of the range, for as long a run as is known.

        At or past the end the run has length 0.
        """
        if self.gate.closed and draining.is_held(self):
            await self.until_resumed()
        length = min(length, self.size - offset)
        if length <= 0:
            return BlockStatus(0, is_data=False, is_zero=True, is_allocated=False)
        self.gate.in_flight += 1
        try:
            return await reading.block_status(self, offset, length)
        finally:
            self.gate.leave()

    async def block_statuses(self, offset: int, length: int) -> list[BlockStatus]:
        """Say what this node knows of the range, run after run as far as is known at once.

        At or past the end there is no run.
        """
        if self.gate.closed and draining.is_held(self):
            await self.until_resumed()
        length = min(length, self.size - offset)
        if length <= 0:
            return []
        self.gate.in_flight += 1
        try:
            return await reading.block_statuses(self, offset, length)
        finally:
            self.gate.leave()

    async def is_allocated_down_to(self, bottom: str | None, offset: int, length: int) -> tuple[bool, int]:
        """Say whether the chain from here down to the node named `bottom` determines the range.

        With no `bottom`, the whole chain is asked.  The length returned is a run with one answer.
        """
        return await chain.is_allocated_down_to(self, bottom, offset, length)

    # Requests for what a filter keeps of the past

    async def pread_snapshot(self, offset: int, into: memoryview) -> None:
        """Fill `into` with what was at `offset`; ENOTSUP when the node keeps no point in time."""
        async with self.in_flight():
            await self._point_in_time().pread(offset, into)

    async def snapshot_block_status(self, offset: int, length: int) -> BlockStatus:
        """Say what is known of what was in the range; ENOTSUP when the node keeps no point in time."""
        async with self.in_flight():
            return await self._point_in_time().block_status(offset, length)

    async def pdiscard_snapshot(self, offset: int, length: int) -> None:
        """Say that what was in the range is of no interest; ENOTSUP when the node keeps no point in time."""
        async with self.in_flight():
            await self._point_in_time().pdiscard(offset, length)

    def _point_in_time(self) -> "PointInTime":
        from qmpserver.driver_api.point_in_time import SupportsPointInTime  # noqa: PLC0415 - few nodes keep one

        if not isinstance(self.driver, SupportsPointInTime):
            raise not_supported()
        return self.driver.point_in_time

    def note_written(self, offset: int, length: int) -> None:
        """Record that the range was written, so that a flush has something to do and bitmaps know of it."""
        self.note_changed(offset + length)
        if self.dirty_bitmaps:
            self._mark_dirty(offset, length)

    def note_changed(self, end: int) -> None:
        """Record that bytes up to `end` may have changed in the image, though not what the node presents."""
        self._write_generation += 1
        stats = self.stats
        stats.wr_highest_offset = max(stats.wr_highest_offset, end)

    def _note_half_written(self, offset: int, length: int) -> None:
        """Record that a request which failed may have changed something: a flush has that to do."""
        self._write_generation += 1
        self._mark_dirty(offset, length)

    def _mark_dirty(self, offset: int, length: int) -> None:
        for bitmap in self.dirty_bitmaps:
            if bitmap.is_enabled:
                bitmap.set(offset, length)

    def _check_writable(self, end: int) -> None:
        if self.flags.read_only or not self.flags.active:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        if end > self.size and not self.driver.can_grow:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def _check_threshold(self, threshold: "WriteThreshold", end: int) -> None:
        if threshold.is_exceeded(align_up(end, self.driver.limits.request_alignment)):
            self.write_threshold = None

    # Drained sections

    def in_flight(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Count as a request of the node's, from when it is not drained."""
        return Passage(self.gate, self.until_resumed)

    @contextlib.asynccontextmanager
    async def drained(self) -> AsyncIterator[None]:
        """Hold back new requests, wait for those in flight, and let all go on afterwards."""
        self.gate.close()
        if isinstance(self.driver, SupportsDrain):
            self.driver.drain_begin()
        try:
            await self.gate.until_idle()
            yield
        finally:
            self.gate.open()
            if isinstance(self.driver, SupportsDrain):
                self.driver.drain_end()

    @property
    def is_held_still(self) -> bool:
        """Whether new requests have to wait."""
        return self.gate.closed > 0

    async def until_resumed(self) -> None:
        """Wait until the node is not held still, or not for the caller."""
        while self.gate.closed and not draining.is_within_section(self):
            await self.gate.until_opened()
