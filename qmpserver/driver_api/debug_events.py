"""Tell what is about to be done to a node, for whoever provokes errors at exactly that moment.

Drivers and the engine name a moment by an event of QEMU's ``BlkdebugEvent`` just before they touch a
child.  A ``blkdebug`` node listens; without one below, the child's hook is None and an event costs
two attribute look-ups.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

DebugHook = Callable[[str], Awaitable[None]]
"""Called with the event's name; returns when the request that met it may go on."""


class Listening(Protocol):
    """A child, as far as events are concerned."""

    @property
    def debug_hook(self) -> DebugHook | None:
        """Who listens to events on the node, or None."""


async def debug_event(child: Listening, event: str) -> None:
    """Say that `event` is about to happen to `child`."""
    hook = child.debug_hook
    if hook is not None:
        await hook(event)
