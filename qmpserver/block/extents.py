"""Say which layer of a backing chain holds each part of a disk, run after run."""

from collections.abc import AsyncGenerator
from typing import NamedTuple

from qmpserver.block import chain
from qmpserver.block.node import Node
from qmpserver.driver_api.status import BlockStatus


class Extents(NamedTuple):
    """Runs of a disk, side by side, of which one layer says all there is to say.

    Attributes:
        offset: First byte of the first.
        statuses: What the layer says of each; there may be thousands.
        depth: How many layers lie above it.
        layer: The layer.
    """

    offset: int
    statuses: list[BlockStatus]
    depth: int
    layer: Node


async def extents(top: Node, offset: int, end: int) -> AsyncGenerator[Extents, None]:
    """Go through a range of the disk that a chain shows.

    Args:
        top: The first node of the chain.
        offset: First byte.
        end: First byte after the range, at most the size of `top`.

    Yields:
        Extents in order; all of them together cover the range.
    """
    found: list[Extents] = []
    while offset < end:
        offset = await _descend(chain.skip_filters(top), 0, offset, end, found)
        for each in found:
            yield each
        found.clear()


async def _descend(layer: Node, depth: int, offset: int, end: int, found: list[Extents]) -> int:
    """Find the extents that `layer` tells at once from `offset` on; return where they end."""
    statuses = await layer.block_statuses(offset, end - offset)
    if not statuses:
        # The layer ends here, and so reads as zeroes.
        statuses = [BlockStatus(end - offset, is_data=False, is_zero=True, is_allocated=False)]
    below = layer.backing
    own: list[BlockStatus] = []
    start = offset
    for status in statuses:
        offset += status.length
        if below is None or status.is_data or status.is_zero:
            own.append(status)
            continue
        if own:
            found.append(Extents(start, own, depth, layer))
            own = []
        start = offset - status.length
        while start < offset:
            start = await _descend(chain.skip_filters(below), depth + 1, start, offset, found)
    if own:
        found.append(Extents(start, own, depth, layer))
    return offset
