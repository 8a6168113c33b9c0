"""Run calls that may block beside the event loop, in the one pool that everything shares.

A call costs some tens of microseconds more than making it in place, so only what may really wait
(disks, name servers) or takes long and releases the interpreter (compression) belongs here.
"""

import asyncio
import contextlib
import functools
import os
from _thread import allocate_lock
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from qmpserver import tasks

if TYPE_CHECKING:  # it comes with `threading`, which a tool that makes no thread does without
    from queue import SimpleQueue

P = ParamSpec("P")
T = TypeVar("T")

MAX_THREADS = 64
"""As many as QEMU's pool has: one disk that does not answer must not hold up the others."""


class _Inbox:
    """Results on their way from threads to one event loop; many may travel in one wake-up."""

    def __init__(self, loop: "asyncio.AbstractEventLoop") -> None:
        from qmpserver.outcome import Outcome  # noqa: PLC0415 - a tool may never come here (tasks.run)

        self.loop = loop
        self.new_outcome = partial(Outcome[Any], loop=loop)
        self._done: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._is_scheduled = False
        self.outstanding = 0

    def post(self, outcome: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
        """Hand a result over.  Called by the threads."""
        self._done.append((outcome, result, error))
        if not self._is_scheduled:
            self._is_scheduled = True
            with contextlib.suppress(RuntimeError):  # the loop was closed with calls under way
                self.loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        # Cleared first: a result that arrives from now on schedules the next delivery.
        self._is_scheduled = False
        while self._done:
            outcome, result, error = self._done.popleft()
            self.outstanding -= 1
            if error is None:
                outcome.set_result(result)
            else:
                outcome.set_exception(error)


_Item = tuple[Callable[..., Any], tuple[Any, ...], "asyncio.Future[Any]", _Inbox]


def _make(call: Callable[..., T], *args: Any) -> tuple[T, None] | tuple[None, BaseException]:
    """Make a call, and return what it returned and what it raised."""
    try:
        return call(*args), None
    except BaseException as raised:  # noqa: BLE001 - raised again where the call is waited for
        return None, raised


def _carry_out(item: _Item) -> None:
    """Make a call, and hand over what came of it."""
    call, args, outcome, inbox = item
    inbox.post(outcome, *_make(call, *args))


class ThreadPool:
    """Threads that are started as they are needed and stay.

    Args:
        limit: The most threads there may be; further calls wait for one.
    """

    def __init__(self, limit: int = MAX_THREADS) -> None:
        self._limit = limit
        self._threads = 0
        self._queue: SimpleQueue[_Item] | None = None
        self._inbox: _Inbox | None = None

    async def run(self, call: Callable[P, T], *args: P.args, **no_keywords: P.kwargs) -> T:
        """Make the call in a thread and wait for its result, even when cancelled meanwhile.

        A tool that has no event loop makes it in place.

        Raises:
            Exception: Whatever the call raised.
        """
        if tasks.is_without_loop():
            return call(*args, **no_keywords)
        return await self.submit(call, *args, **no_keywords)

    def submit(self, call: Callable[P, T], *args: P.args, **no_keywords: P.kwargs) -> "asyncio.Future[T]":
        """Have the call made in a thread; its result is to be awaited.  It cannot be cancelled."""
        del no_keywords
        loop = asyncio.get_running_loop()
        inbox = self._inbox
        if inbox is None or inbox.loop is not loop:
            inbox = self._inbox = _Inbox(loop)
        outcome: asyncio.Future[T] = inbox.new_outcome()
        inbox.outstanding += 1
        items = self._queue
        if items is None:
            from queue import SimpleQueue  # noqa: PLC0415 - see above

            items = self._queue = SimpleQueue()
        if inbox.outstanding > self._threads and self._threads < self._limit:
            self._start_thread(items)
        items.put((call, args, outcome, inbox))
        return outcome

    def forget_threads(self) -> None:
        """Start afresh in a child process, into which no thread follows."""
        self._threads = 0
        self._queue = None
        self._inbox = None

    def _start_thread(self, items: "SimpleQueue[_Item]") -> None:
        import threading  # noqa: PLC0415 - see above

        self._threads += 1
        name = f"blocking-{self._threads}"
        # Daemon threads: a call stuck in the kernel must not keep the process from ending.
        threading.Thread(target=self._work, args=(items,), name=name, daemon=True).start()

    def _work(self, items: "SimpleQueue[_Item]") -> None:
        while True:
            # Nothing of the request is kept alive while waiting for the next.
            _carry_out(items.get())


class Lane:
    """Calls that are made in threads one after the other, in the order they came.

    It is for calls that the kernel would only let wait for each other, as it does with writes to one file.

    Args:
        pool: Whose threads are used, one at a time.
    """

    def __init__(self, pool: ThreadPool) -> None:
        self._pool = pool
        self._waiting: deque[_Item] = deque()
        self._lock = allocate_lock()
        self._is_running = False
        self._inbox: _Inbox | None = None

    async def run(self, call: Callable[P, T], *args: P.args, **no_keywords: P.kwargs) -> T:
        """Make the call when those before it have ended; wait for its result, even when cancelled meanwhile.

        Raises:
            Exception: Whatever the call raised.
        """
        if tasks.is_without_loop():
            return call(*args, **no_keywords)
        loop = asyncio.get_running_loop()
        inbox = self._inbox
        if inbox is None or inbox.loop is not loop:
            inbox = self._inbox = _Inbox(loop)
        outcome: asyncio.Future[T] = inbox.new_outcome()
        inbox.outstanding += 1
        with self._lock:
            self._waiting.append((call, args, outcome, inbox))
            starts, self._is_running = not self._is_running, True
        if starts:
            self._pool.submit(self._work)
        return await outcome

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_running = False
                    return
                item = self._waiting.popleft()
            _carry_out(item)
            del item


class Helper:
    """One thread that makes a call while its user, who has no event loop, makes another, and then waits for it.

    It stays, and with it the memory that is a thread's own.
    """

    def __init__(self) -> None:
        import threading  # noqa: PLC0415 - see above
        from queue import SimpleQueue  # noqa: PLC0415 - see above

        self._calls: SimpleQueue[Callable[[], Any]] = SimpleQueue()
        self._results: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        threading.Thread(target=self._work, name="helper", daemon=True).start()

    def both(self, here: Callable[[], T], there: Callable[[], T]) -> tuple[T, T]:
        """Make two calls side by side, and return what each returned.

        Raises:
            BaseException: What either of them raised, when both have ended.
        """
        self._calls.put(there)
        try:
            mine = here()
        finally:
            result, error = self._results.get()
        if error is not None:
            raise error
        return mine, result

    def _work(self) -> None:
        while True:
            self._results.put(_make(self._calls.get()))


@functools.cache
def helper() -> Helper:
    """Return the helper of a tool that has no event loop; it is made when it is first wanted."""
    return Helper()


_pool = ThreadPool()
os.register_at_fork(after_in_child=_pool.forget_threads)
os.register_at_fork(after_in_child=helper.cache_clear)
run = _pool.run
submit = _pool.submit


def lane() -> Lane:
    """Return a new lane in the pool that everything shares."""
    return Lane(_pool)
