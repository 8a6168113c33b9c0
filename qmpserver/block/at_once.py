"""Read and write at once what needs neither waiting nor room, without a coroutine for each layer on the way.

That is what most requests of a client are: for clusters that are there, in the page cache.  Whatever is out of the
ordinary is left to :mod:`reading` and :mod:`writing`, which do the same step by step.
"""

from qmpserver.block.view import NodeView


def read(node: NodeView, offset: int, into: memoryview) -> bool:
    """Fill `into` from `node`, and say whether it is filled; if not, the caller fills all of it by :func:`reading.read`.

    Args:
        node: Where from; no one holds it still.
        offset: First byte.
        into: What to fill, from within the node's size.
    """
    if node.requests.must_wait:
        return False
    driver = node.mapping
    if driver is None:
        return node.driver.pread_at_once(offset, into)
    length = len(into)
    mapping = driver.map_at_once(offset, length)
    if mapping is None or mapping.length < length or mapping.child is None:
        return False
    return mapping.child.pread_at_once(mapping.offset, into)


def write(node: NodeView, offset: int, data: memoryview) -> bool:
    """Store `data` in `node`, and say whether it is stored.

    If it is not, some of it may be: the caller stores all of it by :func:`writing.write`, which also finds out
    what is wrong.

    Args:
        node: Where to; no one holds it still, and it has no threshold.
        offset: First byte.
        data: What to store, within the node's size.
    """
    flags = node.flags
    if flags.read_only or not flags.active or flags.detect_zeroes != "off" or node.requests.must_wait:
        return False
    length = len(data)
    driver = node.mapping
    if driver is None:
        is_stored = node.driver.pwrite_at_once(offset, data)
    else:
        mapping = driver.map_at_once(offset, length)
        if mapping is None or not mapping.in_place or mapping.length < length or mapping.child is None:
            return False
        is_stored = mapping.child.pwrite_at_once(mapping.offset, data)
    if is_stored:
        node.note_written(offset, length)
    return is_stored
