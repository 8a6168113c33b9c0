"""Say which layer of a backing chain holds each part of a disk, run after run."""

from collections.abc import AsyncIterator
from typing import NamedTuple

from qmpserver.block import chain
from qmpserver.block.node import Node
from qmpserver.driver_api.status import BlockStatus


class Extent(NamedTuple):
    """A run of a disk of which one layer says all there is to say.

    Attributes:
        offset: First byte.
        status: What the layer says; `length` is that of the run.
        depth: How many layers lie above it.
        layer: The layer.
    """

    offset: int
    status: BlockStatus
    depth: int
    layer: Node


async def extents(top: Node, offset: int, end: int) -> AsyncIterator[list[Extent]]:
    """Go through a range of the disk that a chain shows.

    Args:
        top: The first node of the chain.
        offset: First byte.
        end: First byte after the range, at most the size of `top`.

    Yields:
        Some extents in order; all of them together cover the range.
    """
    while offset < end:
        found: list[Extent] = []
        offset = await _descend(chain.skip_filters(top), 0, offset, end, found)
        yield found


async def _descend(layer: Node, depth: int, offset: int, end: int, found: list[Extent]) -> int:
    """Find the extents that `layer` tells at once from `offset` on; return where they end."""
    statuses = await layer.block_statuses(offset, end - offset)
    if not statuses:
        # The layer ends here, and so reads as zeroes.
        found.append(Extent(offset, BlockStatus(end - offset, False, True, False), depth, layer))  # noqa: FBT003
        return end
    below = layer.backing
    for status in statuses:
        stop = offset + status.length
        if status.is_data or status.is_zero or below is None:
            found.append(Extent(offset, status, depth, layer))
            offset = stop
        else:
            lower = chain.skip_filters(below)
            while offset < stop:
                offset = await _descend(lower, depth + 1, offset, stop, found)
    return offset
