"""Run coroutines without making a task until one really waits."""

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


@types.coroutine
def _go_on(coroutine: Coroutine[Any, Any, T], awaited: Any) -> Generator[Any, Any, T]:
    """Drive a coroutine that has already yielded `awaited` to its end."""
    while True:
        try:
            sent, error = (yield awaited), None
        except BaseException as raised:  # noqa: BLE001 - handed on to the coroutine, as `await` would
            sent, error = None, raised
        try:
            awaited = coroutine.send(sent) if error is None else coroutine.throw(error)
        except StopIteration as stop:
            result: T = stop.value
            return result


async def _finish(coroutine: Coroutine[Any, Any, T], awaited: Any) -> T:
    return await _go_on(coroutine, awaited)


class Outcome(asyncio.Future[T]):
    """The result of something that is under way and cannot be called back, and so cannot be cancelled.

    A cancelled task goes on waiting until it has come, and is cancelled then: the memory and the descriptors
    that it lent are not given back while they are still used.
    """

    def cancel(self, msg: Any = None) -> bool:
        """Refuse; the waiting task takes note and cancels itself afterwards."""
        del msg
        return False


class Pending(Exception):
    """Say that a coroutine suspended; `rest` is the coroutine that finishes it."""

    def __init__(self, rest: Coroutine[Any, Any, Any]) -> None:
        super().__init__()
        self.rest = rest


def step(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine up to its first real wait.

    Returns:
        Its result, when it ended without waiting.  No task was made.

    Raises:
        Pending: It waits for something.  `rest` must be awaited, or made a task of.
        Exception: Whatever the coroutine raised before it waited.
    """
    try:
        awaited = coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise Pending(_finish(coroutine, awaited))


def spawn(group: "set[asyncio.Task[Any]]", coroutine: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """Make a task that `group` owns until it ends."""
    task = asyncio.get_running_loop().create_task(coroutine)
    group.add(task)
    task.add_done_callback(group.discard)
    return task
