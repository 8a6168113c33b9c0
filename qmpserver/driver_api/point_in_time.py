"""Keep what a node held at one moment while the node goes on changing, and read it back."""

from typing import NamedTuple, Protocol, runtime_checkable

from qmpserver.driver_api.status import BlockStatus


class PointInTimeOptions(NamedTuple):
    """What a driver asks for that wants a point in time kept.

    Attributes:
        bitmap: Node and name of the dirty bitmap that says what to keep, or None for everything.
        breaks_writes: A write fails if what it replaces cannot be kept; otherwise the point in time is lost.
        timeout_ns: How long a write waits for what it replaces to be kept; 0 for as long as it takes.
        min_cluster_size: The least that is kept at once, in bytes; 0 leaves it to the target.
    """

    bitmap: tuple[str, str] | None = None
    breaks_writes: bool = True
    timeout_ns: int = 0
    min_cluster_size: int = 0


class PointInTime(Protocol):
    """The content of a driver's `file` child as it was, of which `target` keeps what has changed since.

    The engine does the work; a filter says when something is about to change.
    """

    @property
    def is_used(self) -> bool:
        """Whether the filter has users, so that nobody else may change what it filters."""

    @property
    def discards_source(self) -> bool:
        """Whether what has been copied is discarded from `file`."""

    async def before_write(self, offset: int, length: int) -> None:
        """Keep what is about to be replaced.

        Raises:
            OSError: It could not be kept, and the write is not to be carried out.
        """

    async def pread(self, offset: int, into: memoryview) -> None:
        """Fill `into` with what was at `offset`.

        Raises:
            OSError: EACCES where nothing was asked to be kept, or it no longer is; what reading meets.
        """

    async def block_status(self, offset: int, length: int) -> BlockStatus:
        """Say what is known of what was there; errors as for :meth:`pread`."""

    async def pdiscard(self, offset: int, length: int) -> None:
        """Say that whole clusters of what was there are no longer of interest: they cannot be read again."""

    async def close(self) -> None:
        """Wait for what is still being copied."""


@runtime_checkable
class SupportsPointInTime(Protocol):
    """A driver below whose node the past can be read."""

    @property
    def point_in_time(self) -> PointInTime:
        """The content as it was when the node was made."""
