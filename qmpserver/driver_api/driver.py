"""Define what a block driver is: the code of one format, protocol or filter.

The engine promises requests that are aligned to :attr:`BlockDriver.limits`, within the node's size,
permitted, and free of conflicts with one another as each method says; drivers do not check again.
The data path raises OSError with an errno; opening raises QMPError with the text a client reads, or
OSError, which the engine words with the file's name.
"""

import errno
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from collections.abc import Mapping as ReadOnlyDict
from typing import Any, ClassVar, Self

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.debug_events import DebugHook
from qmpserver.driver_api.limits import Limits
from qmpserver.driver_api.mapping import Allocation, Mapping
from qmpserver.driver_api.opening import ChildSpec, OpenContext
from qmpserver.driver_api.permissions import Permission, PermissionSet
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.driver_api.status import BlockStatus
from qmpserver.file_range import FileRange


def not_supported() -> OSError:
    """Make the error of a request that a driver has no means for."""
    return OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))


class BlockDriver(ABC):
    """One opened image, protocol or filter.  Subclass it directly for protocols and filters."""

    format_name: ClassVar[str]
    """The `driver` name on the wire."""

    is_filter: ClassVar[bool] = False
    """It presents the data of one child unchanged."""

    has_drive: ClassVar[bool] = False
    """Its medium comes and goes; see :class:`~qmpserver.driver_api.device_requests.SupportsMedium`."""

    is_transparent: ClassVar[bool] = False
    """It stands for its `file` to whoever asks for a device of the host."""

    filtered_child: ClassVar[str] = "file"
    """Of a filter: the child whose data it presents."""

    bears_name_of_filtered: ClassVar[bool] = False
    """Of a filter: it goes by the file name of the node it filters, as if it were not there."""

    outlives_any_child: ClassVar[bool] = False
    """It presents what most of its children hold, so a copy of all of it may take the place of any of them."""

    handles_fua: ClassVar[bool] = False
    """A write with FUA is durable when `pwrite` or `pwrite_zeroes` returns; else the engine flushes."""

    is_protocol: ClassVar[bool] = False
    """It has no children: the bytes come from outside the graph."""

    supports_backing: ClassVar[bool] = False
    """It can lack data that a `backing` child supplies."""

    child_specs: ClassVar[tuple[ChildSpec, ...]] = ()
    """The children it takes from its options, in the order they are opened."""

    works_in_place: ClassVar[bool] = False
    """Opened read-only it waits for blocking calls alone, so a tool can use it without an event loop."""

    strong_options: ClassVar[tuple[str, ...]] = ()
    """The options that decide what data is seen; they appear in generated file names."""

    changeable_options: ClassVar[frozenset[str]] = frozenset()
    """The driver's own options that may be changed or left out when the node is reopened."""

    lasting_options: ClassVar[frozenset[str]] = frozenset()
    """Those of them that may not be left out again once they were given."""

    options_schema: ClassVar[ReadOnlyDict[str, Any] | None] = None
    """A third party's driver describes its options here, as a JSON Schema object."""

    @classmethod
    @abstractmethod
    async def open(cls, context: OpenContext) -> Self:
        """Open an image.

        Raises:
            QMPError: It is not such an image, or needs what this driver does not do.
            OSError: The image cannot be reached.
        """

    @classmethod
    def probe(cls, head: bytes, filename: str) -> int:
        """Say how surely an image that begins with `head` is of this format, 0 (no) to 100."""
        del head, filename
        return 0

    async def close(self) -> None:
        """Write back everything cached and let go of the image.  Called once, with no I/O in flight.

        Raises:
            OSError: Something could not be written; the driver is closed all the same.
        """

    @property
    @abstractmethod
    def size(self) -> int:
        """The size presented, in bytes."""

    @property
    def limits(self) -> Limits:
        """What this driver asks of its requests.  May change only while drained."""
        return Limits()

    @property
    def exact_filename(self) -> str | None:
        """The plain name that opens the same image again, or None when there is none."""
        return None

    @property
    def can_grow(self) -> bool:
        """Whether writing past the end makes the image larger."""
        return False

    @property
    def reads_zero_when_new(self) -> bool:
        """Whether a freshly created or grown image reads as zeroes."""
        return False

    def child_permissions(self, child: str, used: Permission, shared: Permission) -> PermissionSet | None:
        """Say what this driver needs and allows of a child, or None for the usual rules of its role.

        Args:
            child: The child's name.
            used: What all users of this node together hold.
            shared: What all of them let others hold.
        """
        return None

    @property
    def supports_compressed_writes(self) -> bool:
        """Whether writes with WRITE_COMPRESSED are taken."""
        return False

    @property
    def debug_hook(self) -> DebugHook | None:
        """Who is to be told what this node's users are about to do, or None; see :mod:`debug_events`."""
        return None

    def image_info(self) -> dict[str, Any]:
        """Return the driver's share of ``ImageInfo``: `dirty-flag`, `cluster-size`, `format-specific`, ..."""
        return {"dirty-flag": False}

    def driver_stats(self) -> dict[str, Any] | None:
        """Return the driver's ``BlockStatsSpecific``, or None when it counts nothing of its own."""
        return None

    @abstractmethod
    async def pread(self, offset: int, into: memoryview, flags: int) -> None:
        """Fill `into` with the bytes at `offset`."""

    @abstractmethod
    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        """Store `data` at `offset`."""

    def pread_at_once(self, offset: int, into: memoryview) -> bool:
        """Fill `into` if that takes no waiting, and say whether it is filled; if not, `pread` is called for all of it.

        A driver with a debug hook never does, nor does one whose requests have to be aligned.
        """
        return False

    def find_in_memory(self, offset: int, length: int) -> list[FileRange]:
        """Return where the parts of a range lie in a file of the host, or none of them if not all are in memory.

        Nothing else comes to lie there until whoever is given them releases them, the last one last.
        """
        return []

    def pwrite_at_once(self, offset: int, data: memoryview) -> bool:
        """Store `data` if that takes no waiting, and say whether it is stored; if not, `pwrite` is called for all of it.

        A driver with a debug hook never does, nor does one whose requests have to be aligned.
        """
        return False

    def set_aside(self, offset: int, length: int) -> None:
        """Set room aside for a range that will be written, if that takes no waiting.  A hint, which changes nothing else."""

    async def pwritev(self, offset: int, buffers: Sequence[memoryview], flags: int) -> None:
        """Store buffers, one behind the other, from `offset` on.  A driver that need not join them does better."""
        await self.pwrite(offset, memoryview(b"".join(buffers)), flags)

    async def pwrite_zeroes(self, offset: int, length: int, flags: int) -> None:
        """Make the range zero without writing it out.

        Raises:
            OSError: ENOTSUP when this cannot be had; the engine then writes zeroes.
        """
        raise not_supported()

    async def pdiscard(self, offset: int, length: int) -> None:
        """Give the range's space back.  ENOTSUP is taken as success by the engine."""
        raise not_supported()

    async def block_status(self, offset: int, length: int) -> BlockStatus:
        """Say what is known of the range.  A driver that knows nothing calls it data."""
        del offset
        return BlockStatus(length, is_data=True, is_zero=False, is_allocated=True)

    async def block_statuses(self, offset: int, length: int) -> list[BlockStatus]:
        """Say what is known of the range, run after run from its beginning, as far as that is known at once."""
        return [await self.block_status(offset, length)]

    def known_run(self, offset: int) -> tuple[int, int, bool] | None:
        """Return the run around an offset, from which byte to which, and whether it reads as zeroes.

        None when that is not known without asking anyone.
        """
        return None

    async def flush(self) -> None:
        """Bring everything written so far to stable storage, children included."""

    async def truncate(self, size: int, preallocation: Preallocation = Preallocation.OFF) -> None:
        """Set the size in bytes; what is new reads as zeroes.

        Args:
            size: The new size.
            preallocation: How much of what is new is set aside; nothing but OFF when the image shrinks.

        Raises:
            OSError: ENOTSUP when this cannot be had; where QEMU words the reason, `strerror` is its text.
            QMPError: The format cannot have this size; the old size stands.
        """
        raise not_supported()

    async def allocated_size(self) -> int | None:
        """Return the bytes the image occupies on the host, or None when that is not known."""
        return None


class MappingDriver(BlockDriver):
    """A format that stores guest data in runs elsewhere: it says where, the engine moves the bytes.

    `map` and `allocate` have no need to suspend while metadata is cached, and should not.
    """

    @property
    def stores_plainly(self) -> bool:
        """Whether the bytes of a DATA run lie in the child as they read, so that their place is worth telling."""
        return True

    status_follows_child: ClassVar[bool] = False
    """Whether the child knows more of a DATA run (that it is a hole) than this driver."""

    @property
    @abstractmethod
    def cluster_size(self) -> int:
        """The allocation unit in bytes; the engine orders conflicting requests by it."""

    @property
    def subcluster_size(self) -> int:
        """The least that can be present, or zero, by itself, in bytes: `cluster_size` or a part of it."""
        return self.cluster_size

    @abstractmethod
    async def map(self, offset: int, length: int) -> Mapping:
        """Say where the range begins, for as long a run as is known.

        Raises:
            CorruptImage: The image's tables contradict its format.
            OSError: A table cannot be read.
        """

    def map_at_once(self, offset: int, length: int) -> Mapping | None:
        """Say what `map` says, or None where that is not known without waiting or is not simple."""
        return None

    def room_at_once(self, offset: int, length: int) -> Allocation | None:
        """Return room for a part of what is blank, that reads as zeroes as that does; None where it is not so simple.

        Nothing is reserved: the room is the caller's only if he calls :meth:`take_at_once` before anything else happens.
        """
        return None

    def take_at_once(self, room: Allocation) -> None:
        """Make room that :meth:`room_at_once` has just returned what its range maps to."""
        raise not_supported()

    def promise_place(self) -> Callable[[], object] | None:
        """Promise that nothing else comes to lie where the image's data does now, until what is returned is called.

        None when that cannot be promised now.  Data may be overwritten where it lies all the same.
        """
        return None

    async def map_runs(self, offset: int, length: int) -> Sequence[Mapping]:
        """Say where the range lives, run after run from its beginning, as far as that is known at once.

        It is for looking at large ranges; of its runs `in_place` says nothing.

        Raises:
            CorruptImage: The image's tables contradict its format.
            OSError: A table cannot be read.
        """
        return (await self.map(offset, length),)

    async def has_unwritten_data(self) -> bool:
        """Say whether much of the DATA there is was never written, so that the child knows it as holes."""
        return False

    @abstractmethod
    async def allocate(self, offset: int, length: int) -> Allocation:
        """Reserve room for writing the range, without making it visible.

        The engine holds back every request that overlaps the clusters concerned until it has called
        `link` or `release`.

        Raises:
            OSError: ENOSPC when there is no room; the image is unchanged.
        """

    @abstractmethod
    async def link(self, allocation: Allocation) -> None:
        """Make reserved room, now filled, what the guest range maps to, and free what it replaces.

        The new mapping reaches the disk no sooner than the data and the reference counts it relies on.
        """

    @abstractmethod
    async def release(self, allocation: Allocation) -> None:
        """Give reserved room back because it could not be filled."""

    async def pread_special(self, offset: int, into: memoryview) -> None:
        """Read a run that `map` called SPECIAL."""
        raise not_supported()

    async def write_compressed(self, offset: int, data: memoryview) -> bool:
        """Store one cluster compressed, whatever it held before, and make it visible.

        The engine holds back every request that overlaps the cluster.

        Args:
            offset: Guest offset, a multiple of `cluster_size`.
            data: All of the cluster; of the last one, what lies within the image.

        Returns:
            False when compression gains nothing: nothing was stored, and the engine writes it plainly.

        Raises:
            OSError: ENOTSUP when the image has no such clusters; the old content stands.
        """
        raise not_supported()

    @abstractmethod
    async def zero_clusters(self, offset: int, length: int, *, may_unmap: bool) -> None:
        """Make whole clusters read as zeroes by metadata alone.

        Args:
            offset: Guest offset, a multiple of `subcluster_size`.
            length: A multiple of `subcluster_size`, or up to the end of the image.
            may_unmap: Space held by the clusters may be given back.

        Raises:
            OSError: ENOTSUP when the format has no such marker here; the image is unchanged.
        """

    @abstractmethod
    async def discard_clusters(self, offset: int, length: int) -> None:
        """Drop whole clusters; they read as zeroes, or as the backing file, as the format has it."""

    async def pread(self, offset: int, into: memoryview, flags: int) -> None:
        """Refuse: the engine moves the bytes of a mapping driver."""
        raise not_supported()

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        """Refuse: the engine moves the bytes of a mapping driver."""
        raise not_supported()


__all__ = ["BlockChild", "BlockDriver", "MappingDriver", "not_supported"]
