"""Say what is to be mirrored, or committed while it is written: what a client asked for, looked up and checked."""

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from qmpserver.block import chain
from qmpserver.block.node import Node
from qmpserver.jobs.error_policy import OnError
from qmpserver.units import KiB, MiB

DEFAULT_BUFFER_SIZE = 16 * MiB
DEFAULT_GRANULARITY = 64 * KiB
LEAST_DEFAULT_GRANULARITY = 4 * KiB


class CopyMode(enum.Enum):
    """What becomes of writes while a mirror runs; the values are the wire's (MirrorCopyMode)."""

    BACKGROUND = "background"
    """They are copied later."""
    WRITE_BLOCKING = "write-blocking"
    """They end when both sides have them."""


class MirrorSync(enum.Enum):
    """What is copied at first; the values are the wire's (MirrorSyncMode)."""

    TOP = "top"
    """What the topmost image holds."""
    FULL = "full"
    """All that the node shows."""
    NONE = "none"
    """Nothing; only what is written from now on."""
    INCREMENTAL = "incremental"
    """What a bitmap says; for backups only."""
    BITMAP = "bitmap"
    """What a bitmap says; for backups only."""


GiveBacking = Callable[[Node, Node], Awaitable[None]]
"""Gives a target its backing node; called with the source and the target."""


async def _leave_backing(_source: Node, _target: Node) -> None:
    """Leave the target's backing node as it is."""


@dataclass(frozen=True, slots=True)
class MirrorPlan:
    """What is to be mirrored to what.

    Attributes:
        source: The node that is copied.
        target: What it is copied to.
        sync: What is copied at first.
        bottom: With `top`, the lowest node of the source's chain that counts; None for all of them.
        is_commit: The target is a node of the source's own chain: `base`.
        replaces: The name of the node whose place the target takes at the end; None for the source.
        granularity: What is copied as a whole, in bytes.
        buffer_size: How much is copied between two looks at the speed, in bytes.
        copy_mode: What becomes of writes meanwhile.
        on_target_error: What to do when the target cannot be written.
        may_unmap: Zeroes may free room in the target.
        target_is_zero: The client promises that the target reads as zeroes.
        filter_node_name: The filter's name, or None for one nobody asked for.
        give_backing: Gives the target its backing node, just before it takes the source's place.
    """

    source: Node
    target: Node
    sync: MirrorSync
    granularity: int
    bottom: Node | None = None
    is_commit: bool = False
    replaces: str | None = None
    buffer_size: int = DEFAULT_BUFFER_SIZE
    copy_mode: CopyMode = CopyMode.BACKGROUND
    on_target_error: OnError = OnError.REPORT
    may_unmap: bool = True
    target_is_zero: bool = False
    filter_node_name: str | None = None
    give_backing: GiveBacking = _leave_backing


def default_granularity(target: Node) -> int:
    """Return what is best copied as a whole: a cluster of the target."""
    cluster_size = chain.skip_filters(target).driver.image_info().get("cluster-size", DEFAULT_GRANULARITY)
    return max(int(cluster_size), LEAST_DEFAULT_GRANULARITY)
