"""Track the requests in flight on a node, and let those wait that must."""

import asyncio


class TrackedRequest:
    """One request in flight over ``[offset, end)``.

    Attributes:
        offset: First byte concerned.
        end: First byte no longer concerned.
        is_serialising: No overlapping request may run beside it.
        is_ahead: It begins behind all that were in flight when it came.
    """

    __slots__ = ("done", "end", "is_ahead", "is_serialising", "offset")

    def __init__(self, offset: int, end: int, *, is_serialising: bool) -> None:
        self.offset = offset
        self.end = end
        self.is_serialising = is_serialising
        self.is_ahead = False
        self.done: asyncio.Future[None] | None = None


class TrackedRequests:
    """The requests of one node, in the order they came.

    A request waits only for earlier ones, and for those only if they overlap and one of the two is
    serialising; so there is no circle of waiting, and none is overtaken for ever.

    Attributes:
        serialising: How many serialising requests are about; while there is any, :meth:`turn` has to be asked.
    """

    def __init__(self) -> None:
        self._requests: dict[TrackedRequest, None] = {}
        self.serialising = 0
        self._highest_end = 0

    def __len__(self) -> int:
        return len(self._requests)

    def begin(self, offset: int, end: int) -> TrackedRequest:
        """Enter an ordinary request.  While any is :attr:`serialising`, await :meth:`turn` before going on."""
        return self._enter(TrackedRequest(offset, end, is_serialising=False))

    def begin_serialising(self, offset: int, end: int) -> TrackedRequest:
        """Enter a serialising request; await :meth:`turn` before going on."""
        self.serialising += 1
        return self._enter(TrackedRequest(offset, end, is_serialising=True))

    def _enter(self, request: TrackedRequest) -> TrackedRequest:
        # Whoever goes on behind all others, as a stream of writes does, need not be compared with any.
        request.is_ahead = not self._requests or request.offset >= self._highest_end
        self._highest_end = max(self._highest_end, request.end) if self._requests else request.end
        self._requests[request] = None
        return request

    def make_serialising(self, request: TrackedRequest, offset: int, end: int) -> bool:
        """Let an ordinary request serialise over a wider range, and say whether it does.

        It does unless another has come after it, which then would be overtaken; await :meth:`turn` again.
        """
        if next(reversed(self._requests)) is not request:
            return False
        self.serialising += 1
        request.is_serialising = True
        request.is_ahead = request.is_ahead and request.offset == offset
        request.offset, request.end = offset, end
        self._highest_end = max(self._highest_end, end)
        return True

    async def turn(self, request: TrackedRequest) -> bool:
        """Wait until every earlier request in conflict with `request` has ended; say whether there was any.

        When cancelled, `request` is still entered: the caller ends it.
        """
        if (blocker := self._first_conflict(request)) is None:
            return False
        while blocker is not None:
            if blocker.done is None:
                blocker.done = asyncio.get_running_loop().create_future()
            await asyncio.shield(blocker.done)
            blocker = self._first_conflict(request)
        return True

    def _first_conflict(self, request: TrackedRequest) -> TrackedRequest | None:
        if request.is_ahead:
            return None
        for earlier in self._requests:
            if earlier is request:
                break
            if (
                (request.is_serialising or earlier.is_serialising)
                and earlier.offset < request.end
                and request.offset < earlier.end
            ):
                return earlier
        return None

    def end(self, request: TrackedRequest) -> None:
        """Take a request out, and wake what waited for it."""
        del self._requests[request]
        if request.is_serialising:
            self.serialising -= 1
        if request.done is not None:
            request.done.set_result(None)
