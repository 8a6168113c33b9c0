"""Read and write at once what needs neither waiting nor room, without a coroutine for each layer on the way.

That is what most requests of a client are: for clusters that are there, in the page cache.  Whatever is out of the
ordinary is left to :mod:`reading` and :mod:`writing`, which do the same step by step.
"""

from qmpserver.block.head_guard import GUARDED
from qmpserver.block.view import NodeView
from qmpserver.driver_api.driver import MappingDriver
from qmpserver.file_range import FileRange
from qmpserver.units import KiB

SHORTEST_PART = 16 * KiB
"""Of shorter parts a long range is better put together in memory."""


def read(node: NodeView, offset: int, into: memoryview) -> bool:
    """Fill `into` from `node`, and say whether it is filled; if not, the caller fills all of it by :func:`reading.read`.

    Args:
        node: Where from.
        offset: First byte.
        into: What to fill, from within the node's size.
    """
    if node.gate.closed or node.requests.serialising:
        return False
    driver = node.mapping
    if driver is None:
        return node.driver.pread_at_once(offset, into)
    length = len(into)
    mapping = driver.map_at_once(offset, length)
    if mapping is None or mapping.length < length or mapping.child is None:
        return False
    return mapping.child.pread_at_once(mapping.offset, into)


def find(node: NodeView, offset: int, length: int) -> list[FileRange]:
    """Return where the parts of a range lie in a file of the host, or none of them if not all are in memory.

    Whoever is given them releases them, the last one last; see :meth:`BlockDriver.find_in_memory`.

    Args:
        node: What has it.
        offset: First byte.
        length: Bytes, within the node's size.
    """
    if node.gate.closed or node.requests.serialising:
        return []
    driver = node.mapping
    if driver is None:
        return node.driver.find_in_memory(offset, length)
    end_of_promise = driver.promise_place()
    if end_of_promise is None:
        return []
    parts = _find_parts(driver, offset, length)
    if parts:
        parts[-1].also_release(end_of_promise)
    else:
        end_of_promise()
    return parts


def _find_parts(driver: MappingDriver, offset: int, length: int) -> list[FileRange]:
    """Find the parts of a range, which the driver has promised to leave where they are."""
    parts: list[FileRange] = []
    while length:
        mapping = driver.map_at_once(offset, length)
        if mapping is None or mapping.child is None or mapping.length < min(length, SHORTEST_PART):
            break
        found = mapping.child.find_in_memory(mapping.offset, mapping.length)
        if not found:
            break
        parts += found
        offset += mapping.length
        length -= mapping.length
    if not length:
        return parts
    for part in parts:
        part.release()
    return []


def write(node: NodeView, offset: int, data: memoryview) -> bool:
    """Store `data` in `node`, and say whether it is stored.

    If it is not, some of it may be: the caller stores all of it by :func:`writing.write`, which also finds out
    what is wrong.

    Args:
        node: Where to.
        offset: First byte.
        data: What to store, within the node's size.
    """
    if node.gate.closed or node.requests.serialising or node.write_threshold is not None:
        return False
    flags = node.flags
    if flags.read_only or not flags.active or flags.detect_zeroes != "off":
        return False
    if node.head_guard is not None and offset < GUARDED:
        return False
    length = len(data)
    driver = node.mapping
    if driver is None:
        is_stored = node.driver.pwrite_at_once(offset, data)
    else:
        mapping = driver.map_at_once(offset, length)
        if mapping is None:
            is_stored = _store_in_new_room(driver, offset, data)
        elif not mapping.in_place or mapping.length < length or mapping.child is None:
            return False
        else:
            is_stored = mapping.child.pwrite_at_once(mapping.offset, data)
    if is_stored:
        node.note_written(offset, length)
    return is_stored


def _store_in_new_room(driver: MappingDriver, offset: int, data: memoryview) -> bool:
    """Store what begins to fill something blank, and say whether it is stored."""
    length = len(data)
    if length > driver.cluster_size // 2:
        # Of what is stored for the most part the rest is better stored as well.
        return False
    room = driver.room_at_once(offset, length)
    if room is None:
        return False
    if not room.child.pwrite_at_once(room.host_offset + offset - room.offset, data):
        return False
    driver.take_at_once(room)
    return True
