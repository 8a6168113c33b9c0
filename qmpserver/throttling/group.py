"""Let the members of a group share its limits, and take turns when they have to wait."""

import asyncio
from collections import deque

from qmpserver.clock import Clock, Timer
from qmpserver.throttling.buckets import Buckets, Direction
from qmpserver.throttling.limits import ThrottleLimits


class ThrottleMember:
    """A user of a group: the requests of one node.

    Args:
        group: The group it belongs to.

    Attributes:
        waiting: What has come and not yet been let go: whom to tell, and the bytes.
        drains: How many times draining was begun and not ended.
    """

    def __init__(self, group: "ThrottleGroup") -> None:
        self.group = group
        self.waiting: dict[Direction, deque[tuple[asyncio.Future[None], int]]] = {
            direction: deque() for direction in Direction
        }
        self.drains = 0

    async def admit(self, direction: Direction, length: int) -> None:
        """Wait until a request of `length` bytes may pass."""
        if self.drains:
            self.group.account(direction, length)
            return
        turn = self.group.enter(self, direction, length)
        if turn is not None:
            await turn

    def drain_begin(self) -> None:
        """Let what waits go, and everything that comes, until :meth:`drain_end`."""
        self.drains += 1
        for direction, queue in self.waiting.items():
            while queue:
                turn, length = queue.popleft()
                if not turn.done():
                    self.group.account(direction, length)
                    turn.set_result(None)

    def drain_end(self) -> None:
        """Slow requests down again."""
        self.drains -= 1

    def take_over(self, other: "ThrottleMember") -> None:
        """Take the place of a member of another group, which leaves it; nothing waits there."""
        self.drains = other.drains
        other.leave()

    def leave(self) -> None:
        """End the membership."""
        self.group.members.remove(self)


class ThrottleGroup:
    """Members that share one set of limits.

    A request passes at once when nothing of its direction waits and the buckets allow it.  Else it
    waits, and the members that have waiting requests are served one request each, in turn.

    Args:
        limits: What all members together may do.
        clock: What it tells the time by.

    Attributes:
        members: Its users, in the order they joined.
    """

    def __init__(self, limits: ThrottleLimits, clock: Clock) -> None:
        self._clock = clock
        self._limits = limits
        self._buckets = Buckets(limits, clock.monotonic_ns())
        self._timers: dict[Direction, Timer] = {}
        self._served: dict[Direction, ThrottleMember | None] = dict.fromkeys(Direction)
        self.members: list[ThrottleMember] = []

    @property
    def limits(self) -> ThrottleLimits:
        """What all members together may do; setting it empties the buckets."""
        return self._limits

    @limits.setter
    def limits(self, limits: ThrottleLimits) -> None:
        self._limits = limits
        self._buckets = Buckets(limits, self._clock.monotonic_ns())
        for direction in Direction:
            self._call_off(direction)
            self._serve(direction)

    def join(self) -> ThrottleMember:
        """Make a new member."""
        member = ThrottleMember(self)
        self.members.append(member)
        return member

    def account(self, direction: Direction, length: int) -> None:
        """Count a request that passes whatever the buckets hold."""
        self._buckets.account(direction, length)

    def enter(
        self, member: ThrottleMember, direction: Direction, length: int
    ) -> "asyncio.Future[None] | None":
        """Let a request pass, which gives None, or return what to wait for."""
        if direction not in self._timers and not self._wait_ns(direction):
            self.account(direction, length)
            self._served[direction] = member
            return None
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        member.waiting[direction].append((turn, length))
        if direction not in self._timers:
            self._serve(direction)
        return turn

    def _wait_ns(self, direction: Direction) -> int:
        return self._buckets.wait_ns(direction, self._clock.monotonic_ns())

    def _serve(self, direction: Direction) -> None:
        """Let requests go for as long as the buckets allow, then come back when they do again."""
        while (member := self._next(direction)) is not None:
            wait_ns = self._wait_ns(direction)
            if wait_ns:
                self._timers[direction] = self._clock.call_later(wait_ns, lambda: self._on_timer(direction))
                return
            turn, length = member.waiting[direction].popleft()
            self.account(direction, length)
            self._served[direction] = member
            turn.set_result(None)

    def _on_timer(self, direction: Direction) -> None:
        del self._timers[direction]
        self._serve(direction)

    def _call_off(self, direction: Direction) -> None:
        timer = self._timers.pop(direction, None)
        if timer is not None:
            timer.cancel()

    def _next(self, direction: Direction) -> ThrottleMember | None:
        """Return the member whose turn it is among those that wait, or None."""
        members = self.members
        served = self._served[direction]
        start = members.index(served) + 1 if served in members else 0
        for member in (*members[start:], *members[:start]):
            queue = member.waiting[direction]
            while queue and queue[0][0].done():
                queue.popleft()
            if queue:
                return member
        return None
