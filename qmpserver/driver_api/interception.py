"""Let a job take part in the requests that go through its filter.

A job puts its filter over a node, and itself into the filter: every request that changes the node is then
carried out by the job, which can look at it, hold it up, and make the same change somewhere else as well.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol, runtime_checkable


class Writable(Protocol):
    """Whatever a change can be made to: a child, or a job's own handle on another node."""

    async def pwrite(self, offset: int, data: memoryview, flags: int = 0) -> None:
        """Store `data` at `offset`."""

    async def pwrite_zeroes(self, offset: int, length: int, flags: int = 0) -> None:
        """Make the range read as zeroes."""

    async def pdiscard(self, offset: int, length: int) -> None:
        """Say that the range's content is no longer of interest."""


Change = Callable[[Writable], Awaitable[None]]
"""Makes one change to whatever it is given; raises OSError."""


class Interceptor(Protocol):
    """Who carries out the changes that come through a filter."""

    async def carry_out(self, change: Change, below: Writable, offset: int, length: int) -> None:
        """Make a change to the node below the filter.

        Args:
            change: The change.
            below: The node below.
            offset: First byte concerned.
            length: Bytes concerned.

        Raises:
            OSError: It could not be made to `below`.
        """

    async def discard(self, below: Writable, offset: int, length: int) -> None:
        """Discard a range of the node below the filter; elsewhere it is to read as it does there afterwards.

        Raises:
            OSError: It could not be discarded.
        """


@runtime_checkable
class SupportsInterception(Protocol):
    """A filter that hands every change to its interceptor, if it has one."""

    interceptor: Interceptor | None
