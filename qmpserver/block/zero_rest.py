"""Find out whether a part of a unit that is to be zero is all that keeps the whole unit from being so."""

from qmpserver.block import chain
from qmpserver.block.view import NodeView
from qmpserver.driver_api.driver import MappingDriver
from qmpserver.driver_api.mapping import MappingKind
from qmpserver.units import align_down, align_up


async def whole_unit(
    node: NodeView, driver: MappingDriver, offset: int, length: int
) -> tuple[int, int] | None:
    """Return the unit around a part of it, when all the rest reads as zeroes and none of it is stored.

    The caller holds a serialising request over the unit.

    Args:
        node: The image.
        driver: Its driver.
        offset: First byte of the part.
        length: Bytes of the part, which lies in one unit.

    Returns:
        The unit's offset and length, the latter up to the end of the image at most; or None.
    """
    unit = driver.subcluster_size
    start, stop = align_down(offset, unit), min(align_up(offset + length, unit), node.size)
    at = start
    while at < stop:
        mapping = await driver.map(at, stop - at)
        if mapping.kind not in {MappingKind.ZERO, MappingKind.BACKING}:
            return None
        at += mapping.length
    if await _reads_zero(node, start, offset) and await _reads_zero(node, offset + length, stop):
        return start, stop - start
    return None


async def _reads_zero(node: NodeView, start: int, stop: int) -> bool:
    while start < stop:
        status = await chain.status_above(node, start, stop - start)
        if not status.is_zero:
            return False
        start += status.length
    return True
