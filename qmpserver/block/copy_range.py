"""Have the host copy from file to file what need not pass through memory."""

from dataclasses import dataclass

from qmpserver.block.view import NodeView
from qmpserver.driver_api.driver import MappingDriver
from qmpserver.driver_api.extras import SupportsCopyRange
from qmpserver.driver_api.mapping import Allocation, MappingKind
from qmpserver.units import align_down


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a run of bytes lies: in which protocol node, from which byte, how many."""

    node: NodeView
    offset: int
    length: int


async def copy_from_backing(node: NodeView, driver: MappingDriver, offset: int, length: int) -> int:
    """Store what the backing node supplies, if the host can copy it there by itself.

    Args:
        node: Where to; the caller holds a serialising request over the clusters concerned.
        driver: The node's driver.
        offset: First byte, at the beginning of a subcluster that `node` does not hold.
        length: Bytes of such subclusters.

    Returns:
        The bytes that were stored; 0 when they have to go through memory, for instance because they
        may be zeroes, which are not stored as data.
    """
    unit = driver.subcluster_size
    source = await _find(node.backing, offset, length)
    run = align_down(source.length, unit) if source is not None else 0
    if source is None or not run:
        return 0
    allocation = await driver.allocate(offset, run)
    if allocation.offset != offset or allocation.length > run:
        # Old bytes would have to be stored around the new ones.
        await driver.release(allocation)
        return 0
    try:
        is_done = await _copy(source, node, allocation, unit)
    except BaseException:
        await driver.release(allocation)
        raise
    if not is_done:
        await driver.release(allocation)
        return 0
    await driver.link(allocation)
    node.note_written(offset + allocation.length)
    return allocation.length


async def _find(node: NodeView | None, offset: int, length: int) -> _Place | None:
    """Follow a range down to the protocol node that holds the first of it, through nodes that stay as they are."""
    while node is not None and node.flags.read_only and offset < node.size:
        length = min(length, node.size - offset)
        if node.mapping is None:
            return _Place(node, offset, length) if isinstance(node.driver, SupportsCopyRange) else None
        mapping = await node.mapping.map(offset, length)
        length = mapping.length
        if mapping.kind is MappingKind.DATA:
            node, offset = _node_of(node, mapping.child), mapping.offset
        elif mapping.kind is MappingKind.BACKING:
            node = node.backing
        else:
            return None
    return None


async def _copy(source: _Place, node: NodeView, allocation: Allocation, unit: int) -> bool:
    target = _node_of(node, allocation.child)
    if target is None or not isinstance(target.driver, SupportsCopyRange):
        return False
    start, end = allocation.host_offset, allocation.host_offset + allocation.length
    async with source.node.in_flight(), target.in_flight():
        request = target.requests.begin(start, end)
        try:
            await target.requests.turn(request)
            is_done = await target.driver.copy_range(
                source.node.driver, source.offset, start, allocation.length, unit
            )
        finally:
            target.requests.end(request)
    target.note_written(end)
    return is_done


def _node_of(node: NodeView, child: object) -> NodeView | None:
    return next((edge.node for edge in node.children.values() if edge is child), None)
