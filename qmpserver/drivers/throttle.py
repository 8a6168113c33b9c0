"""The `throttle` filter: requests go no faster than a group of nodes is allowed.

Option: `throttle-group`, the id of an object of that type.  Zeroes and discards count as writes; flushes
are not held up.
"""

from typing import Any, ClassVar, Self

from qmpserver.driver_api.child import BlockChild
from qmpserver.driver_api.opening import OpenContext
from qmpserver.driver_api.surroundings import Surroundings
from qmpserver.drivers.filter import FilterDriver
from qmpserver.throttling.buckets import Direction
from qmpserver.throttling.group import ThrottleMember


class ThrottleDriver(FilterDriver):
    """A filter that slows down.

    Args:
        file: The child.
        member: The place in the group.
        surroundings: Where another group is found when the node is reopened.
    """

    format_name: ClassVar[str] = "throttle"
    strong_options: ClassVar[tuple[str, ...]] = ("throttle-group",)
    changeable_options: ClassVar[frozenset[str]] = frozenset(("throttle-group",))

    def __init__(self, file: BlockChild, member: ThrottleMember, surroundings: Surroundings) -> None:
        super().__init__(file)
        self._member = member
        self._surroundings = surroundings
        self._next: ThrottleMember | None = None

    @classmethod
    async def open(cls, context: OpenContext) -> Self:
        """Open the filter.

        Raises:
            QMPError: There is no such group.
        """
        file = context.child("file")
        assert file is not None
        group = context.surroundings.throttle_group(context.options["throttle-group"])
        return cls(file, group.join(), context.surroundings)

    async def close(self) -> None:
        """Leave the group."""
        self._member.leave()

    async def pread(self, offset: int, into: memoryview, flags: int) -> None:
        """Fill `into` in good time."""
        await self._member.admit(Direction.READ, len(into))
        await super().pread(offset, into, flags)

    async def pwrite(self, offset: int, data: memoryview, flags: int) -> None:
        """Store `data` in good time."""
        await self._member.admit(Direction.WRITE, len(data))
        await super().pwrite(offset, data, flags)

    async def pwrite_zeroes(self, offset: int, length: int, flags: int) -> None:
        """Make the range zero in good time."""
        await self._member.admit(Direction.WRITE, length)
        await super().pwrite_zeroes(offset, length, flags)

    async def pdiscard(self, offset: int, length: int) -> None:
        """Discard the range in good time."""
        await self._member.admit(Direction.WRITE, length)
        await super().pdiscard(offset, length)

    def drain_begin(self) -> None:
        """Let everything through."""
        self._member.drain_begin()

    def drain_end(self) -> None:
        """Slow down again."""
        self._member.drain_end()

    # Reopening: the node is drained, so nothing waits in the group that is left.

    async def prepare_reopen(self, *, read_only: bool, options: dict[str, Any]) -> None:
        """Join the new group, still using the old one.

        Raises:
            QMPError: There is no such group.
        """
        group = self._surroundings.throttle_group(options["throttle-group"])
        self._next = None if group is self._member.group else group.join()

    async def commit_reopen(self) -> None:
        """Move to the new group."""
        if self._next is not None:
            self._next.take_over(self._member)
            self._member, self._next = self._next, None

    async def abort_reopen(self) -> None:
        """Stay in the old group."""
        if self._next is not None:
            self._next.leave()
            self._next = None
