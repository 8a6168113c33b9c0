"""Carry out a device's requests: limits, error policy, and what is counted.

A request that fails where the policy is to stop is held, and made again when the machine runs again.  For whoever
made it, it has not ended.
"""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from qmpserver import tasks
from qmpserver.block.backend import BlockBackend
from qmpserver.clock import Clock
from qmpserver.driver_api.flags import COPY_ON_READ, FUA
from qmpserver.jobs.error_policy import ErrorAction
from qmpserver.machine.media.error_policy import ErrorPolicy
from qmpserver.machine.media.statistics import DriveStatistics, RequestKind
from qmpserver.throttling.buckets import Direction
from qmpserver.throttling.group import ThrottleMember


class RequestOwner(Protocol):
    """The drive whose requests they are."""

    backend: BlockBackend
    policy: ErrorPolicy
    statistics: DriveStatistics
    throttle: ThrottleMember | None
    write_cache: bool
    copy_on_read: bool

    @property
    def is_available(self) -> bool:
        """Whether there is a medium, and no open tray between it and the device."""

    @property
    def counts_held(self) -> bool:
        """Whether a request counts as failed that is held and made again."""

    def note_error(self, error: OSError, action: ErrorAction, *, is_read: bool) -> None:
        """Tell of an error, and stop the machine where that is what is done about it."""


@dataclass(frozen=True, slots=True)
class _Request:
    """One request on its way."""

    kind: RequestKind
    offset: int
    length: int
    carry_out: Callable[[], Awaitable[None]]
    throttled: Direction | None = None

    @property
    def is_read(self) -> bool:
        return self.kind is RequestKind.READ


class DriveRequests:
    """The way from a device to its medium.

    Args:
        owner: The drive.
        clock: What durations are measured by.

    Attributes:
        held: How many requests wait for the machine to run again.
    """

    def __init__(self, owner: RequestOwner, clock: Clock) -> None:
        self._owner = owner
        self._clock = clock
        self._released: asyncio.Future[None] | None = None
        self.held = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._watchers: list[asyncio.Future[None]] = []

    async def pread(self, offset: int, into: memoryview, flags: int = 0) -> None:
        """Fill `into` with the bytes at `offset`."""
        owner = self._owner
        if owner.copy_on_read:
            flags |= COPY_ON_READ
        await self._run(
            _Request(
                RequestKind.READ,
                offset,
                len(into),
                lambda: owner.backend.pread(offset, into, flags),
                Direction.READ,
            )
        )

    async def pwrite(self, offset: int, data: memoryview, flags: int = 0) -> None:
        """Store `data` at `offset`."""
        backend = self._owner.backend
        await self._run(
            _Request(
                RequestKind.WRITE,
                offset,
                len(data),
                lambda: backend.pwrite(offset, data, flags | self._durable),
                Direction.WRITE,
            )
        )

    async def pwrite_zeroes(self, offset: int, length: int, flags: int = 0) -> None:
        """Make the range read as zeroes."""
        backend = self._owner.backend
        await self._run(
            _Request(
                RequestKind.WRITE,
                offset,
                length,
                lambda: backend.pwrite_zeroes(offset, length, flags | self._durable),
                Direction.WRITE,
            )
        )

    async def pdiscard(self, offset: int, length: int) -> None:
        """Say that the range is of no interest; no limit holds that up."""
        backend = self._owner.backend
        await self._run(_Request(RequestKind.UNMAP, offset, length, lambda: backend.pdiscard(offset, length)))

    async def flush(self) -> None:
        """Bring everything written so far to stable storage; no limit holds that up."""
        await self._run(_Request(RequestKind.FLUSH, 0, 0, self._owner.backend.flush))

    async def ioctl(self, request: int, argument: bytearray | int) -> int:
        """Have the device of the host that the medium is carry out a request of its own; see :class:`SupportsIoctl`.

        No limit holds that up, it is not counted, and no policy decides about its errors.

        Raises:
            OSError: ENOMEDIUM without a medium, ENOTSUP where there is no device of the host.
        """
        if not self._owner.is_available:
            raise _os_error(errno.ENOMEDIUM)
        return await self._owner.backend.ioctl(request, argument)

    @property
    def _durable(self) -> int:
        return 0 if self._owner.write_cache else FUA

    # What happens to a request

    async def _run(self, request: _Request) -> None:
        """Carry out a request to its end.

        Raises:
            OSError: ENOMEDIUM without a medium, EIO past its end, else why it failed where the policy is to report
                that; ECANCELED when the drive was taken away while the request was held.
        """
        self._check(request)
        while True:
            began_ns = self._clock.monotonic_ns()
            if await self._try(request, began_ns):
                break
            await self._hold()
        now_ns = self._clock.monotonic_ns()
        self._owner.statistics.done(request.kind, request.length, began_ns, now_ns)

    def _check(self, request: _Request) -> None:
        owner = self._owner
        if not owner.is_available:
            raise _os_error(errno.ENOMEDIUM)
        if request.offset < 0 or request.offset + request.length > owner.backend.node.size:
            owner.statistics.invalid(request.kind, self._clock.monotonic_ns())
            raise _os_error(errno.EIO)

    async def _try(self, request: _Request, began_ns: int) -> bool:
        """Carry out a request; say whether it has ended, well or with an error that is ignored."""
        owner = self._owner
        try:
            if owner.throttle is not None and request.throttled is not None:
                await owner.throttle.admit(request.throttled, request.length)
            if not owner.is_available:
                raise _os_error(errno.ENOMEDIUM)
            await request.carry_out()
        except OSError as error:
            action = owner.policy.action(error, is_read=request.is_read)
            if action is ErrorAction.REPORT or (action is ErrorAction.STOP and owner.counts_held):
                owner.statistics.failed(request.kind, began_ns, self._clock.monotonic_ns())
            owner.note_error(error, action, is_read=request.is_read)
            if action is ErrorAction.REPORT:
                raise
            return action is ErrorAction.IGNORE
        return True

    # Requests held because of an error

    async def until_held(self, work: Coroutine[Any, Any, None]) -> bool:
        """Carry out work that makes requests until it has ended, or one of the drive's requests is held.

        Returns:
            Whether it has ended; else it goes on when the machine runs, and nobody hears how it ends.

        Raises:
            OSError: What the work raises, if it has ended.
        """
        noticed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.append(noticed)
        task = tasks.spawn(self._tasks, work)
        try:
            await asyncio.wait((task, noticed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._watchers.remove(noticed)
        if task.done():
            await task
            return True
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return False

    async def _hold(self) -> None:
        if self._released is None:
            self._released = asyncio.get_running_loop().create_future()
        self.held += 1
        for watcher in self._watchers:
            if not watcher.done():
                watcher.set_result(None)
        try:
            await asyncio.shield(self._released)
        finally:
            self.held -= 1

    def retry_held(self) -> None:
        """Make held requests again."""
        if self._released is not None:
            self._released.set_result(None)
            self._released = None

    def cancel_held(self) -> None:
        """Let held requests fail: the drive is taken away, or the machine reset."""
        if self._released is not None:
            if self.held:
                self._released.set_exception(_os_error(errno.ECANCELED))
            self._released = None


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
