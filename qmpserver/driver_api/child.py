"""Describe a node below, as a driver or job above sees it."""

from collections.abc import Sequence
from typing import Protocol

from qmpserver.driver_api.debug_events import DebugHook
from qmpserver.driver_api.limits import Limits
from qmpserver.driver_api.preallocation import Preallocation
from qmpserver.driver_api.status import BlockStatus
from qmpserver.file_range import FileRange


class BlockChild(Protocol):
    """An opened node below.  Offsets and lengths are bytes; nothing needs to be aligned.

    Every method may raise OSError with an errno.  Reading past :attr:`size` gives zeroes; writing
    there makes a child that can grow larger, and raises EIO on any other.
    """

    @property
    def node_name(self) -> str:
        """The name of the node it leads to, for messages."""

    @property
    def filename(self) -> str:
        """The name that opens the node again: plain where that says all, else ``json:``."""

    @property
    def size(self) -> int:
        """The node's size in bytes, as of the last request."""

    @property
    def read_only(self) -> bool:
        """Whether writing is refused for good."""

    @property
    def limits(self) -> Limits:
        """What the node asks of its requests."""

    @property
    def format_name(self) -> str:
        """The name of the node's driver."""

    @property
    def supports_compressed_writes(self) -> bool:
        """Whether the node takes writes with WRITE_COMPRESSED."""

    @property
    def cluster_size(self) -> int:
        """The allocation unit of the image that the node is, or is a filter of, in bytes; 1 if it has none."""

    @property
    def debug_hook(self) -> DebugHook | None:
        """Who is to be told what is about to be done to the node, or None; see :mod:`debug_events`."""

    async def pread(self, offset: int, into: memoryview, flags: int = 0) -> None:
        """Fill `into` with the bytes at `offset`."""

    async def pwrite(self, offset: int, data: memoryview, flags: int = 0) -> None:
        """Store `data` at `offset`."""

    def pread_at_once(self, offset: int, into: memoryview) -> bool:
        """Fill `into` if that takes no waiting, and say whether it is filled; if not, some of it may be."""

    def find_in_memory(self, offset: int, length: int) -> list[FileRange]:
        """Return where the parts of the range lie in a file of the host; see :meth:`BlockDriver.find_in_memory`."""

    def pwrite_at_once(self, offset: int, data: memoryview) -> bool:
        """Store `data` if that takes no waiting, and say whether it is stored; if not, some of it may be."""

    def set_aside(self, offset: int, length: int) -> None:
        """Set room aside for a range that will be written, if that takes no waiting.  A hint, which changes nothing else."""

    async def pwritev(self, offset: int, buffers: Sequence[memoryview], flags: int = 0) -> None:
        """Store buffers, one behind the other, from `offset` on."""

    async def pwrite_zeroes(self, offset: int, length: int, flags: int = 0) -> None:
        """Make the range read as zeroes, by the cheapest means the node has."""

    async def pdiscard(self, offset: int, length: int) -> None:
        """Say that the range's content is no longer of interest."""

    async def flush(self) -> None:
        """Bring everything written so far to stable storage."""

    async def truncate(self, size: int, preallocation: Preallocation = Preallocation.OFF) -> None:
        """Set the node's size in bytes; what is new reads as zeroes."""

    async def block_status(self, offset: int, length: int) -> BlockStatus:
        """Say what is known of the range, for as long a run as is known."""

    async def block_statuses(self, offset: int, length: int) -> list[BlockStatus]:
        """Say what is known of the range, run after run as far as is known at once; past the end there is none."""

    def known_run(self, offset: int) -> tuple[int, int, bool] | None:
        """Return the run around an offset, from which byte to which, and whether it reads as zeroes.

        None when that is not known without asking anyone.
        """

    async def is_allocated_above(self, bottom: str | None, offset: int, length: int) -> tuple[bool, int]:
        """Say whether the chain from this node down to the node named `bottom` determines the range.

        With no `bottom` the whole chain is asked.  The length returned is a run with one answer.
        """

    async def allocated_size(self) -> int | None:
        """Return the bytes it occupies on the host, or None when that is not known."""

    async def pread_snapshot(self, offset: int, into: memoryview) -> None:
        """Fill `into` with what was at `offset`; ENOTSUP when the node keeps no point in time."""

    async def snapshot_block_status(self, offset: int, length: int) -> BlockStatus:
        """Say what is known of what was in the range; ENOTSUP when the node keeps no point in time."""

    async def pdiscard_snapshot(self, offset: int, length: int) -> None:
        """Say that what was in the range is of no interest; ENOTSUP when the node keeps no point in time."""
