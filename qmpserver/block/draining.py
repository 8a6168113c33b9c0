"""Let work run on nodes that are held still, while the requests of everybody else wait.

A drained node lets nothing through.  What is done to it meanwhile, such as writing back what its image
has cached before it becomes read-only, takes requests to the nodes below, which may be held still as
well.  So requests that come from within a drained section pass.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

from qmpserver.tasks import need_loop

T = TypeVar("T")


class Drainable(Protocol):
    """A node, as far as it can be held still."""

    def drained(self) -> AbstractAsyncContextManager[None]:
        """Hold back new requests, wait for those in flight, and let all go on afterwards."""


class _Section:
    """The nodes that work in progress holds still, and the section that the work was begun in.

    What outlives the work (a timer, a task) inherits the section, but nothing passes once that is over.
    """

    __slots__ = ("is_open", "nodes", "outer")

    def __init__(self, nodes: frozenset[Drainable], outer: "_Section | None") -> None:
        self.nodes = nodes
        self.outer = outer
        self.is_open = True


_held: Counter[Drainable] = Counter()
"""By how many sections each node is held still."""

_current: ContextVar[_Section | None] = ContextVar("drained section", default=None)


def is_held(node: Drainable) -> bool:
    """Say whether work holds `node` still, and so may change what its driver knows of the image."""
    return node in _held


def is_within_section(node: Drainable) -> bool:
    """Say whether the caller is work that holds `node` still, and so may use it."""
    section = _current.get()
    while section is not None:
        if section.is_open and node in section.nodes:
            return True
        section = section.outer
    return False


async def run_drained(nodes: Iterable[Drainable], work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Hold `nodes` still, carry out `work`, and let all go on.

    The work runs to its end even if the caller is cancelled.

    Args:
        nodes: Each after those that use it, so that what is in flight above can still come to its end.
        work: Its own requests to `nodes` pass.

    Returns:
        What `work` returns.
    """
    await need_loop()
    task = asyncio.get_running_loop().create_task(_run(tuple(nodes), work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            await asyncio.wait([task])
        raise


async def _run(nodes: tuple[Drainable, ...], work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    async with AsyncExitStack() as still:
        for node in nodes:
            await still.enter_async_context(node.drained())
        section = _Section(frozenset(nodes), _current.get())
        _current.set(section)
        _held.update(section.nodes)
        try:
            return await work()
        finally:
            section.is_open = False
            for node in section.nodes:
                _held[node] -= 1
                if not _held[node]:
                    del _held[node]
