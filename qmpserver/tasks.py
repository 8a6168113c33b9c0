"""Run coroutines without making a task, or even an event loop, until one really waits."""

import asyncio
import signal
import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

from qmpserver.interrupts import Interrupts

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


_interrupts = Interrupts()
_is_without_loop = False
"""A tool is stepped by :func:`run`, and nothing else runs in this process."""


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a tool's coroutine to its end, with an event loop from where it first asks for one.

    Until then blocking calls are made in place: nobody else is kept waiting.

    Raises:
        KeyboardInterrupt: There was an interrupt; one that writes was ended as if cancelled.
        Exception: Whatever the coroutine raised.
    """
    try:
        try:
            return _run_without_loop(coroutine)
        except Pending as pending:
            rest = pending.rest
        with asyncio.Runner() as runner:
            # It takes a while to make one.
            runner.get_loop()
            result: T = runner.run(_interrupted(rest) if _interrupts.release() else rest)
        return result
    finally:
        _interrupts.release()


def _run_without_loop(coroutine: Coroutine[Any, Any, T]) -> T:
    global _is_without_loop  # noqa: PLW0603 - the process's own
    _is_without_loop = True
    try:
        return step(coroutine)
    finally:
        _is_without_loop = False


async def _interrupted(coroutine: Coroutine[Any, Any, T]) -> T:
    """Go on with a coroutine, of whose interrupt the loop has not heard."""
    signal.raise_signal(signal.SIGINT)
    return await coroutine


def begin_writing() -> None:
    """Say that an image will be written: without a loop, a tool is then only interrupted where it pauses."""
    if _is_without_loop:
        _interrupts.hold()


def is_without_loop() -> bool:
    """Say whether a tool runs that has not come to need an event loop."""
    return _is_without_loop


async def need_loop() -> None:
    """Go on with an event loop running: before a task is made, a timer set, or anything waited for."""
    if _is_without_loop:
        await _suspend()


async def pause() -> None:
    """Let others have their turn, if there are any.

    Raises:
        KeyboardInterrupt: There was an interrupt, and no loop that would see to it.
    """
    if not _is_without_loop:
        await _suspend()
    else:
        _interrupts.check()


@types.coroutine
def _suspend() -> Generator[None, None, None]:
    yield
